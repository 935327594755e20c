#ifndef CRR_TESTS_RPC_REFUSAL_H_
#define CRR_TESTS_RPC_REFUSAL_H_

#include <gmock/gmock.h>
#include <grpcpp/support/status.h>

#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "crr/v1/violations.pb.h"

namespace crr::test {

// A status with its details taken apart, by this test's own hand: the
// product's reader of them is not trusted here.
struct Refusal {
  grpc::StatusCode code = grpc::StatusCode::OK;
  std::string message;
  // What is wrong with its form by design §3; empty when nothing is.
  std::vector<std::string> flaws;
  std::string reason;
  std::map<std::string, std::string> metadata;
  std::vector<v1::Violations::Violation> violations;
  std::optional<absl::Duration> retry_delay;

  // The violation with this reason; ends the process when there is none.
  const v1::Violations::Violation& Find(const std::string& wanted) const;
  std::vector<std::string> Reasons() const;
  // As `REASON field`.
  std::vector<std::string> ReasonsAndFields() const;
};

Refusal RefusalOf(const grpc::Status& status);

std::ostream& operator<<(std::ostream& out, const Refusal& refusal);

// The class of a reason by design §10; OK for an unknown one.
grpc::StatusCode CodeOfReason(const std::string& reason);

}  // namespace crr::test

// A status of this code, well-formed, whose first reason is this one.
#define EXPECT_REFUSED(status, code_name, reason_name)                    \
  do {                                                                    \
    const ::crr::test::Refusal refused = ::crr::test::RefusalOf(status);  \
    EXPECT_EQ(refused.code, grpc::StatusCode::code_name) << refused;      \
    EXPECT_EQ(refused.reason, reason_name) << refused;                    \
    EXPECT_THAT(refused.flaws, ::testing::IsEmpty()) << refused;          \
  } while (false)

#endif  // CRR_TESTS_RPC_REFUSAL_H_
