#include "server/core/session_rooms.h"

#include <algorithm>

#include "base/check.h"

namespace crr {

void SessionRooms::Put(int64_t session, const Room& room) {
  CRR_CHECK(room.units < room.credit);
  Remove(session);
  rooms_.emplace(session, room);
  const Key key = KeyOf(session, room);
  all_.insert(key);
  if (!room.region.empty()) by_region_[room.region].insert(key);
}

void SessionRooms::Remove(int64_t session) {
  const auto found = rooms_.find(session);
  if (found == rooms_.end()) return;
  const Key key = KeyOf(session, found->second);
  all_.erase(key);
  if (const auto region = by_region_.find(found->second.region);
      region != by_region_.end()) {
    region->second.erase(key);
    if (region->second.empty()) by_region_.erase(region);
  }
  rooms_.erase(found);
}

std::optional<SessionRooms::Best> SessionRooms::Find(
    const std::string& source_region,
    const std::string& destination_region) const {
  std::optional<Key> key;
  for (const std::string* region : {&source_region, &destination_region}) {
    const auto found = by_region_.find(*region);
    if (found == by_region_.end()) continue;
    const Key& first = *found->second.begin();
    key = key ? std::min(*key, first) : first;
  }
  const bool near = key.has_value();
  if (!near && !all_.empty()) key = *all_.begin();
  if (!key) return std::nullopt;
  const int64_t session = -key->second;
  return Best{session, rooms_.at(session), near};
}

}  // namespace crr
