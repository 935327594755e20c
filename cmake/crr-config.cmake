# find_package(crr) gives crr::client: stubs of crr.v1, channel, resource names,
# details of refusals.
include(CMakeFindDependencyMacro)
find_dependency(Protobuf)
find_dependency(absl CONFIG)
find_dependency(gRPC CONFIG)
include(${CMAKE_CURRENT_LIST_DIR}/crr-targets.cmake)
