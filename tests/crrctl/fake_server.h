#ifndef CRR_TESTS_CRRCTL_FAKE_SERVER_H_
#define CRR_TESTS_CRRCTL_FAKE_SERVER_H_

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/crrctl/console.h"
#include "client/crrctl/control.h"

namespace crr::test {

// A server in the test's process with one service, crrctl's calls to it, and
// all that a command says.
template <typename Service>
class FakeServerTest : public ::testing::Test {
 protected:
  FakeServerTest() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    control_ = std::make_unique<Control>(server_->InProcessChannel({}));
  }

  Service service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Control> control_;
  std::string said_;
  const Console console_{
      .out = [this](absl::string_view text) { absl::StrAppend(&said_, text); },
      .err = [](absl::string_view text) { ADD_FAILURE() << text; }};
};

}  // namespace crr::test

#endif  // CRR_TESTS_CRRCTL_FAKE_SERVER_H_
