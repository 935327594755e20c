#ifndef CRR_SERVER_RPC_ENV_H_
#define CRR_SERVER_RPC_ENV_H_

#include "base/clock.h"
#include "server/lease_loop.h"
#include "server/publisher_hub.h"
#include "storage/database.h"

namespace crr {

// What every service works with. All of it outlives the services.
struct Env {
  Database& database;
  LeaseLoop& loop;
  PublisherHub& publishers;
  const Clock& clock;
};

}  // namespace crr

#endif  // CRR_SERVER_RPC_ENV_H_
