#ifndef CRR_TESTS_CRRCTL_FILES_H_
#define CRR_TESTS_CRRCTL_FILES_H_

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "base/check.h"
#include "client/crrctl/bytes.h"
#include "client/store/object_store.h"

namespace crr::test {

// Makes a file, and the folders above it.
inline void MakeFile(const std::string& path, absl::string_view content) {
  std::filesystem::create_directories(
      std::filesystem::path(path).parent_path());
  std::ofstream file(path, std::ios::binary);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  CRR_CHECK(file.good());
}

// A source that hands out `content` in pieces of at most `piece` bytes.
inline ByteSource Pieces(std::string content, size_t piece) {
  return [content = std::move(content), piece](size_t limit) mutable {
    std::string next = content.substr(0, std::min(piece, limit));
    content.erase(0, next.size());
    return absl::StatusOr<std::string>(std::move(next));
  };
}

inline void PutObject(ObjectStore& store, absl::string_view bucket,
                      absl::string_view key, std::string content) {
  CRR_CHECK(WriteObject(store, bucket, key, Pieces(std::move(content), 1 << 20),
                        ObjectFacts())
                .ok());
}

// All bytes of an object that is there.
inline std::string ObjectBytes(ObjectStore& store, absl::string_view bucket,
                               absl::string_view key) {
  const auto reader = store.Read(bucket, key).value();
  CRR_CHECK(reader != nullptr);
  std::string bytes;
  for (;;) {
    const std::string chunk = reader->Read(kChunkBytes).value();
    if (chunk.empty()) return bytes;
    bytes += chunk;
  }
}

}  // namespace crr::test

#endif  // CRR_TESTS_CRRCTL_FILES_H_
