#ifndef CRR_CLIENT_STORE_FACTS_CODEC_H_
#define CRR_CLIENT_STORE_FACTS_CODEC_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/store/object_store.h"

namespace crr {

// Facts and marks as bytes: for the columns of an index and for the digest in
// a mark. Equal values have equal bytes, and the bytes are stored, so this
// format never changes.
std::string EncodeFacts(const ObjectFacts& facts);
std::string EncodeMark(const ReplicaMark& mark);

// DATA_LOSS when `bytes` is not what the encoder made.
absl::StatusOr<ObjectFacts> DecodeFacts(absl::string_view bytes);
absl::StatusOr<ReplicaMark> DecodeMark(absl::string_view bytes);

}  // namespace crr

#endif  // CRR_CLIENT_STORE_FACTS_CODEC_H_
