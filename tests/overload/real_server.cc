#include "tests/overload/real_server.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/check.h"
#include "tests/rpc/streams.h"
#include "tests/rpc/test_server.h"

extern char** environ;

namespace crr::test {

RealServer::RealServer(const std::string& lease_ttl) : lease_ttl_(lease_ttl) {
  Start("127.0.0.1:0");
}

RealServer::~RealServer() { Kill(); }

void RealServer::Start(const std::string& listen) {
  int output[2];
  CRR_CHECK(pipe2(output, O_CLOEXEC) == 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO,
                                   (dir_ / "server.log").c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0600);
  std::vector<std::string> arguments = {
      // Ended with this process, even if that is killed.
      "setpriv",
      "--pdeathsig",
      "KILL",
      CRR_SERVER,
      absl::StrCat("--listen=", listen),
      absl::StrCat("--storage=sqlite:", dir_ / "crr.db"),
      absl::StrCat("--lease_ttl=", lease_ttl_),
      "--metrics_listen="};
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  CRR_CHECK(posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(),
                         environ) == 0);
  posix_spawn_file_actions_destroy(&actions);
  close(output[1]);
  std::string line;
  char byte = 0;
  while (read(output[0], &byte, 1) == 1 && byte != '\n') line += byte;
  close(output[0]);
  CRR_CHECK(byte == '\n');
  address_ = line.substr(line.rfind(' ') + 1);
  const auto channel = Connect();
  regions_ = v1::RegionService::NewStub(channel);
  buckets_ = v1::BucketService::NewStub(channel);
  rules_ = v1::ReplicationService::NewStub(channel);
}

void RealServer::Kill() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void RealServer::KillAndRestart() {
  Kill();
  Start(address_);
}

int64_t RealServer::resident_bytes() const {
  std::ifstream statm(absl::StrCat("/proc/", pid_, "/statm"));
  int64_t size = 0;
  int64_t resident = 0;
  statm >> size >> resident;
  CRR_CHECK(resident > 0);
  return resident * sysconf(_SC_PAGESIZE);
}

double RealServer::cpu_seconds() const {
  std::ostringstream text;
  text << std::ifstream(absl::StrCat("/proc/", pid_, "/stat")).rdbuf();
  // After the name, which may hold anything: the 12th and 13th field.
  std::istringstream fields(text.str().substr(text.str().rfind(')') + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

std::shared_ptr<grpc::Channel> RealServer::Connect() const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // A client that does not read takes no more than this for itself.
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 64 << 10);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  return grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(),
                                   arguments);
}

void RealServer::SetStores() {
  for (const char* region : {kHangzhou, kShanghai}) {
    v1::UpdateRegionRequest request;
    request.mutable_region()->set_name(absl::StrCat("regions/", region));
    request.mutable_region()->mutable_store()->mutable_local()->set_root(
        absl::StrCat("/data/", region));
    CRR_CHECK(
        Call(regions(), &v1::RegionService::Stub::UpdateRegion, request).ok());
  }
}

std::string RealServer::AddRule(const std::string& name) {
  for (const auto& [end, region] :
       {std::pair("-src", kHangzhou), std::pair("-dst", kShanghai)}) {
    v1::CreateBucketRequest request;
    request.set_bucket_id(name + end);
    request.mutable_bucket()->set_region(absl::StrCat("regions/", region));
    request.mutable_bucket()->set_owner("acme");
    CRR_CHECK(
        Call(buckets(), &v1::BucketService::Stub::CreateBucket, request).ok());
  }
  v1::Rule rule;
  CRR_CHECK(Call(rules(), &v1::ReplicationService::Stub::CreateRule,
                 RuleRequest(name + "-src", name + "-dst"), &rule)
                .ok());
  return rule.name();
}

void RealServer::Activate(int rules) {
  const auto copiers = v1::CopierService::NewStub(Connect());
  ScriptedCopier copier(*copiers);
  CRR_CHECK(copier.Hello("activator") != 0);
  for (int i = 0; i < rules; ++i) {
    copier.Commit(GoodProbe(copier.AwaitGrant(v1::Lease::PROBE)));
  }
  CRR_CHECK(copier.Finish().ok());
}

v1::RuleProgress RealServer::Progress(const std::string& rule) {
  v1::GetRuleProgressRequest request;
  request.set_name(rule);
  v1::RuleProgress progress;
  CRR_CHECK(Call(rules(), &v1::ReplicationService::Stub::GetRuleProgress,
                 request, &progress)
                .ok());
  return progress;
}

}  // namespace crr::test
