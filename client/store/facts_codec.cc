#include "client/store/facts_codec.h"

#include <cstdint>
#include <map>

namespace crr {
namespace {

// Integers take eight bytes, lowest first; strings and maps are preceded by
// their length.
class Encoder {
 public:
  void operator()(int64_t value) {
    for (int shift = 0; shift < 64; shift += 8) {
      bytes_.push_back(static_cast<char>(value >> shift));
    }
  }
  void operator()(const std::string& value) {
    (*this)(static_cast<int64_t>(value.size()));
    bytes_.append(value);
  }
  void operator()(const std::map<std::string, std::string>& value) {
    (*this)(static_cast<int64_t>(value.size()));
    for (const auto& [name, text] : value) {
      (*this)(name);
      (*this)(text);
    }
  }
  void operator()(absl::Time value) { (*this)(absl::ToUnixMicros(value)); }

  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class Decoder {
 public:
  explicit Decoder(absl::string_view bytes) : rest_(bytes) {}

  void operator()(int64_t& value) {
    uint64_t bits = 0;
    const absl::string_view bytes = Take(8);
    for (size_t i = bytes.size(); i-- > 0;) {
      bits = bits << 8 | static_cast<unsigned char>(bytes[i]);
    }
    value = static_cast<int64_t>(bits);
  }
  void operator()(std::string& value) {
    int64_t size = 0;
    (*this)(size);
    value = std::string(Take(size));
  }
  void operator()(std::map<std::string, std::string>& value) {
    int64_t count = 0;
    (*this)(count);
    for (; count > 0 && valid_; --count) {
      std::string name;
      (*this)(name);
      (*this)(value[name]);
    }
  }
  void operator()(absl::Time& value) {
    int64_t microseconds = 0;
    (*this)(microseconds);
    value = absl::FromUnixMicros(microseconds);
  }

  // Everything was there, and nothing follows.
  bool Finished() const { return valid_ && rest_.empty(); }

 private:
  absl::string_view Take(int64_t count) {
    if (count < 0 || static_cast<uint64_t>(count) > rest_.size()) {
      valid_ = false;
      return {};
    }
    const absl::string_view taken =
        rest_.substr(0, static_cast<size_t>(count));
    rest_.remove_prefix(static_cast<size_t>(count));
    return taken;
  }

  absl::string_view rest_;
  bool valid_ = true;
};

// The fields in their order, once for both directions.
template <typename Codec, typename Facts>
void VisitFacts(Codec& codec, Facts& facts) {
  codec(facts.user_metadata);
  codec(facts.headers.type);
  codec(facts.headers.encoding);
  codec(facts.headers.disposition);
  codec(facts.headers.language);
  codec(facts.headers.cache_control);
  codec(facts.headers.expires);
  codec(facts.tags);
  codec(facts.owner);
  codec(facts.acl);
  codec(facts.creation_time);
  codec(facts.encryption);
  codec(facts.encryption_key_id);
}

template <typename Codec, typename Mark>
void VisitMark(Codec& codec, Mark& mark) {
  codec(mark.source_bucket);
  codec(mark.source_etag);
  codec(mark.source_stamp);
  codec(mark.destination_bucket);
  codec(mark.key);
  codec(mark.digest);
}

}  // namespace

std::string EncodeFacts(const ObjectFacts& facts) {
  Encoder encoder;
  VisitFacts(encoder, facts);
  return encoder.Take();
}

std::string EncodeMark(const ReplicaMark& mark) {
  Encoder encoder;
  VisitMark(encoder, mark);
  return encoder.Take();
}

absl::StatusOr<ObjectFacts> DecodeFacts(absl::string_view bytes) {
  ObjectFacts facts;
  Decoder decoder(bytes);
  VisitFacts(decoder, facts);
  if (!decoder.Finished()) return absl::DataLossError("damaged facts");
  return facts;
}

absl::StatusOr<ReplicaMark> DecodeMark(absl::string_view bytes) {
  ReplicaMark mark;
  Decoder decoder(bytes);
  VisitMark(decoder, mark);
  if (!decoder.Finished()) return absl::DataLossError("damaged mark");
  return mark;
}

}  // namespace crr
