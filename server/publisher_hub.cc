#include "server/publisher_hub.h"

#include <utility>

namespace crr {

int64_t PublisherHub::Attach(const std::string& publisher,
                             std::function<void()> take_over) {
  std::function<void()> replaced;
  int64_t attachment = 0;
  {
    MutexLock lock(mu_);
    Entry& entry = entries_[publisher];
    if (entry.attachment != 0) replaced = std::move(entry.take_over);
    attachment = entry.attachment = next_++;
    entry.take_over = std::move(take_over);
  }
  if (replaced) replaced();
  return attachment;
}

void PublisherHub::Detach(const std::string& publisher, int64_t attachment) {
  MutexLock lock(mu_);
  const auto found = entries_.find(publisher);
  if (found == entries_.end() || found->second.attachment != attachment) return;
  found->second.attachment = 0;
  found->second.take_over = nullptr;
}

void PublisherHub::CompleteThrough(const std::string& publisher,
                                   int64_t attachment, absl::Time time) {
  MutexLock lock(mu_);
  const auto found = entries_.find(publisher);
  if (found == entries_.end() || found->second.attachment != attachment) return;
  found->second.complete_through = time;
}

Watermarks PublisherHub::watermarks() const {
  MutexLock lock(mu_);
  Watermarks watermarks;
  for (const auto& [publisher, entry] : entries_) {
    watermarks.emplace(publisher, entry.complete_through);
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
