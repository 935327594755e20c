#ifndef CRR_SERVER_CORE_SESSION_ROOMS_H_
#define CRR_SERVER_CORE_SESSION_ROOMS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

namespace crr {

// The sessions that may take another unit of work, in the order in which one is
// offered to them: those in one of its regions first, then the one that would
// be loaded least with it, then the newest. A session's load is the units that
// it has, or will have, as a part of its credit; so what is given out one by
// one is shared as evenly as it can be.
//
// A copy of it is a plan: units may be added to that without being granted.
// Each call costs the logarithm of the number of sessions. Thread-compatible.
class SessionRooms {
 public:
  struct Room {
    std::string region;  // Empty: in none.
    int64_t credit = 0;
    int64_t units = 0;
  };

  // Requires: units < credit. Replaces what is known of the session.
  void Put(int64_t session, const Room& room);
  void Remove(int64_t session);

  struct Best {
    int64_t session = 0;
    Room room;
    bool near = false;  // In one of the two regions.
  };
  // The session to offer a unit to that goes between these regions.
  std::optional<Best> Find(const std::string& source_region,
                           const std::string& destination_region) const;

 private:
  // Load with one more unit, then the session's number, higher ones first.
  using Key = std::pair<double, int64_t>;
  static Key KeyOf(int64_t session, const Room& room) {
    return {static_cast<double>(room.units + 1) /
                static_cast<double>(room.credit),
            -session};
  }

  std::unordered_map<int64_t, Room> rooms_;
  std::set<Key> all_;
  std::map<std::string, std::set<Key>> by_region_;
};

}  // namespace crr

#endif  // CRR_SERVER_CORE_SESSION_ROOMS_H_
