#include "client/crrctl/compare.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/crrctl/text.h"

namespace crr {
namespace {

class Bucket final : public Side {
 public:
  Bucket(std::shared_ptr<ObjectStore> store, std::string bucket)
      : store_(std::move(store)), bucket_(std::move(bucket)) {}

  absl::StatusOr<std::optional<Item>> Next() override {
    if (next_ == page_.size()) CRR_RETURN_IF_ERROR(FetchPage());
    if (next_ == page_.size()) return std::nullopt;
    const ObjectInfo& object = page_[next_++];
    return Item{.key = object.key, .size = object.size};
  }

  absl::StatusOr<ByteSource> Read(absl::string_view key) override {
    CRR_ASSIGN_OR_RETURN(std::unique_ptr<ObjectReader> reader,
                         store_->Read(bucket_, key));
    if (reader == nullptr) return absl::NotFoundError("the object is gone");
    return FromObject(std::move(reader));
  }

 private:
  // Leaves an empty page at the end.
  absl::Status FetchPage() {
    const std::string after = page_.empty() ? "" : page_.back().key;
    page_.clear();
    next_ = 0;
    if (at_end_) return absl::OkStatus();
    absl::StatusOr<ListPage> page = store_->List(bucket_, {.after = after});
    if (absl::IsNotFound(page.status()) && after.empty()) {
      at_end_ = true;
      return absl::OkStatus();
    }
    CRR_RETURN_IF_ERROR(page.status());
    page_ = std::move(page->objects);
    at_end_ = page->complete;
    return absl::OkStatus();
  }

  const std::shared_ptr<ObjectStore> store_;
  const std::string bucket_;
  std::vector<ObjectInfo> page_;
  size_t next_ = 0;
  bool at_end_ = false;  // No page follows.
};

class Folder final : public Side {
 public:
  Folder(std::string folder, SkipList& skipped)
      : walk_(std::move(folder), skipped) {}

  absl::Status Open() { return walk_.Open(); }

  absl::StatusOr<std::optional<Item>> Next() override {
    std::optional<FolderWalk::File> file = walk_.Next();
    if (!file.has_value()) return std::nullopt;
    return Item{.key = std::move(file->key), .size = file->size};
  }

  absl::StatusOr<ByteSource> Read(absl::string_view key) override {
    absl::StatusOr<ByteSource> source = FromRegularFile(walk_.PathOf(key));
    if (source.ok()) return source;
    return absl::Status(
        source.status().code(),
        absl::StrCat(walk_.PathOf(key), ": ", source.status().message()));
  }

 private:
  FolderWalk walk_;
};

// Reads two sources side by side. Returns how many bytes they have when they
// are equal, nullopt when they are not.
absl::StatusOr<std::optional<int64_t>> EqualBytes(const ByteSource& a,
                                                  const ByteSource& b) {
  std::string from_a;
  std::string from_b;
  int64_t total = 0;
  for (;;) {
    if (from_a.empty()) {
      CRR_ASSIGN_OR_RETURN(from_a, a(kChunkBytes));
    }
    if (from_b.empty()) {
      CRR_ASSIGN_OR_RETURN(from_b, b(kChunkBytes));
    }
    if (from_a.empty() || from_b.empty()) {
      if (from_a.size() != from_b.size()) return std::nullopt;
      return total;
    }
    // The two may hand out their bytes in pieces of different lengths.
    const size_t common = std::min(from_a.size(), from_b.size());
    if (from_a.compare(0, common, from_b, 0, common) != 0) return std::nullopt;
    from_a.erase(0, common);
    from_b.erase(0, common);
    total += static_cast<int64_t>(common);
  }
}

// As EqualBytes, for one key of both sides.
absl::StatusOr<std::optional<int64_t>> EqualObject(Side& a, Side& b,
                                                   absl::string_view key) {
  const absl::StatusOr<ByteSource> from_a = a.Read(key);
  const absl::StatusOr<ByteSource> from_b = b.Read(key);
  for (const absl::Status& status : {from_a.status(), from_b.status()}) {
    if (absl::IsNotFound(status)) return std::nullopt;
    CRR_RETURN_IF_ERROR(status);
  }
  return EqualBytes(*from_a, *from_b);
}

void Count(Comparison::Totals& totals, int64_t bytes) {
  ++totals.objects;
  totals.bytes += bytes;
}

}  // namespace

std::unique_ptr<Side> BucketSide(std::shared_ptr<ObjectStore> store,
                                 std::string bucket) {
  return std::make_unique<Bucket>(std::move(store), std::move(bucket));
}

absl::StatusOr<std::unique_ptr<Side>> FolderSide(std::string folder,
                                                 SkipList& skipped) {
  auto side = std::make_unique<Folder>(std::move(folder), skipped);
  CRR_RETURN_IF_ERROR(side->Open());
  return side;
}

absl::StatusOr<Comparison> Compare(
    Side& a, Side& b, const std::function<void(absl::string_view)>& report) {
  Comparison result;
  const auto differ = [&](absl::string_view how, absl::string_view key) {
    ++result.differences;
    report(absl::StrCat(how, ": ", Printable(key)));
  };
  CRR_ASSIGN_OR_RETURN(std::optional<Side::Item> in_a, a.Next());
  CRR_ASSIGN_OR_RETURN(std::optional<Side::Item> in_b, b.Next());
  while (in_a.has_value() || in_b.has_value()) {
    const bool take_a =
        in_a.has_value() && (!in_b.has_value() || in_a->key <= in_b->key);
    const bool take_b =
        in_b.has_value() && (!in_a.has_value() || in_b->key <= in_a->key);
    if (take_a && take_b) {
      CRR_ASSIGN_OR_RETURN(const std::optional<int64_t> equal,
                           EqualObject(a, b, in_a->key));
      if (!equal.has_value()) differ("differs", in_a->key);
      Count(result.a, equal.value_or(in_a->size));
      Count(result.b, equal.value_or(in_b->size));
    } else if (take_a) {
      differ("only in A", in_a->key);
      Count(result.a, in_a->size);
    } else {
      differ("only in B", in_b->key);
      Count(result.b, in_b->size);
    }
    if (take_a) {
      CRR_ASSIGN_OR_RETURN(in_a, a.Next());
    }
    if (take_b) {
      CRR_ASSIGN_OR_RETURN(in_b, b.Next());
    }
  }
  return result;
}

}  // namespace crr
