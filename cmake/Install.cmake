# What `cmake --install` puts where: the programs, the contract, and the client
# library for find_package(crr). The installed tree may be moved as a whole.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/crr)
# Google's and gRPC's generated headers stand apart, so that they do not mix
# with those of others in a shared prefix.
set(THIRD_PARTY_INCLUDEDIR ${CMAKE_INSTALL_INCLUDEDIR}/crr/third_party)

set(PROGRAMS crr-server crr-copier crr-notifier crrctl)
file(RELATIVE_PATH BIN_TO_LIB
  ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
set_target_properties(${PROGRAMS} PROPERTIES
  INSTALL_RPATH $ORIGIN/${BIN_TO_LIB})
install(TARGETS ${PROGRAMS})

# The headers in this list include nothing of the tree but generated ones.
install(FILES client/access/channel.h proto/cc/resource_name.h
  proto/cc/status_details.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/crr)
install(DIRECTORY ${PROJECT_BINARY_DIR}/proto/gen/crr
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(DIRECTORY ${PROJECT_BINARY_DIR}/proto/gen/google
  ${PROJECT_BINARY_DIR}/proto/gen/grpc
  DESTINATION ${THIRD_PARTY_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

set_target_properties(crr_client PROPERTIES EXPORT_NAME client)
set_target_properties(crr_proto PROPERTIES EXPORT_NAME proto)
set_target_properties(crr_proto_cc PROPERTIES EXPORT_NAME proto_cc)
# The archives may go into somebody's shared library, and into C++17.
set_target_properties(crr_client crr_proto_cc PROPERTIES
  POSITION_INDEPENDENT_CODE ON)
target_compile_features(crr_proto_cc PUBLIC cxx_std_17)
install(TARGETS crr_client crr_proto crr_proto_cc EXPORT crr
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} ${THIRD_PARTY_INCLUDEDIR})
install(EXPORT crr NAMESPACE crr:: FILE crr-targets.cmake
  DESTINATION ${PACKAGE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/crr-config-version.cmake
  COMPATIBILITY SameMajorVersion)
install(FILES cmake/crr-config.cmake
  ${PROJECT_BINARY_DIR}/crr-config-version.cmake DESTINATION ${PACKAGE_DIR})

# For other languages, and for callers that cannot use reflection.
install(DIRECTORY proto/crr ${PROJECT_BINARY_DIR}/proto/third_party/
  DESTINATION ${CMAKE_INSTALL_DATADIR}/crr/proto
  FILES_MATCHING PATTERN "*.proto")
install(FILES ${PROJECT_BINARY_DIR}/crr.protoset
  DESTINATION ${CMAKE_INSTALL_DATADIR}/crr)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
