#include "server/publisher_hub.h"

#include <utility>

namespace crr {

int64_t PublisherHub::Attach(const Publisher& publisher,
                             std::function<void(End)> end) {
  std::function<void(End)> replaced;
  int64_t attachment = 0;
  {
    MutexLock lock(mu_);
    Entry& entry = entries_[publisher.id];
    if (entry.scope != publisher.scope || entry.epoch != publisher.epoch) {
      entry.complete_through = absl::InfinitePast();
    }
    entry.scope = publisher.scope;
    entry.epoch = publisher.epoch;
    if (entry.attachment != 0) replaced = std::move(entry.end);
    attachment = entry.attachment = next_++;
    entry.end = std::move(end);
  }
  if (replaced) replaced(End::kTakenOver);
  return attachment;
}

void PublisherHub::Detach(const std::string& publisher, int64_t attachment) {
  MutexLock lock(mu_);
  const auto found = entries_.find(publisher);
  if (found == entries_.end() || found->second.attachment != attachment) return;
  found->second.attachment = 0;
  found->second.end = nullptr;
}

void PublisherHub::CompleteThrough(const std::string& publisher,
                                   int64_t attachment, absl::Time time) {
  MutexLock lock(mu_);
  const auto found = entries_.find(publisher);
  if (found == entries_.end() || found->second.attachment != attachment) return;
  found->second.complete_through = time;
}

std::optional<absl::Time> PublisherHub::LastWord(const std::string& publisher,
                                                 int64_t attachment) const {
  MutexLock lock(mu_);
  const auto found = entries_.find(publisher);
  if (found == entries_.end() || found->second.attachment != attachment ||
      found->second.complete_through == absl::InfinitePast()) {
    return std::nullopt;
  }
  return found->second.complete_through;
}

void PublisherHub::ForgetAll() {
  std::map<std::string, Entry> entries;
  {
    MutexLock lock(mu_);
    entries.swap(entries_);
  }
  for (const auto& [publisher, entry] : entries) {
    if (entry.end) entry.end(End::kStoreChanged);
  }
}

void PublisherHub::Forget(const std::string& publisher) {
  std::function<void(End)> end;
  {
    MutexLock lock(mu_);
    const auto found = entries_.find(publisher);
    if (found == entries_.end()) return;
    end = std::move(found->second.end);
    entries_.erase(found);
  }
  if (end) end(End::kForgotten);
}

Watermarks PublisherHub::watermarks() const {
  MutexLock lock(mu_);
  Watermarks watermarks;
  for (const auto& [publisher, entry] : entries_) {
    watermarks.emplace(Speaker{publisher, entry.scope, entry.epoch},
                       entry.complete_through);
  }
  return watermarks;
}

std::set<std::string> PublisherHub::attached() const {
  MutexLock lock(mu_);
  std::set<std::string> attached;
  for (const auto& [publisher, entry] : entries_) {
    if (entry.attachment != 0) attached.insert(publisher);
  }
  return attached;
}

}  // namespace crr
