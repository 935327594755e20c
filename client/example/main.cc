// Creates a rule and prints it, or all that stands against it.
//   crr-example HOST:PORT SOURCE_BUCKET DESTINATION_BUCKET REQUEST_ID
#include <crr/channel.h>
#include <crr/resource_name.h>
#include <crr/status_details.h>
#include <crr/v1/replication_service.grpc.pb.h>

#include <chrono>
#include <cstdio>

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const auto stub =
      crr::v1::ReplicationService::NewStub(crr::MakeChannel(argv[1]));

  crr::v1::CreateRuleRequest request;
  request.set_parent(crr::BucketName(argv[2]));
  request.mutable_rule()->set_destination_bucket(crr::BucketName(argv[3]));
  request.mutable_rule()->set_operations(crr::v1::Rule::ADD_DELETE_CHANGE);
  request.mutable_rule()->set_replicate_historical(true);
  request.set_request_id(argv[4]);  // A UUID. To repeat the call is harmless.

  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::seconds(10));
  crr::v1::Rule rule;
  const grpc::Status status = stub->CreateRule(&context, request, &rule);
  if (status.ok()) {
    std::printf("%s is %s\n", rule.name().c_str(),
                crr::v1::Rule::State_Name(rule.state()).c_str());
    return 0;
  }
  std::printf("%s\n", status.error_message().c_str());
  for (const auto& violation : crr::DetailsOf(status).violations) {
    std::printf("%s field=%s subject=%s: %s (%s)\n", violation.reason().c_str(),
                violation.field().c_str(), violation.subject().c_str(),
                violation.description().c_str(), violation.remedy().c_str());
  }
  return 1;
}
