# Writes migrations.h from the .sql files, in the order of their numbers.
# cmake -DOUTPUT=FILE -DINPUTS=FILE;FILE -P embed.cmake
set(entries "")
foreach(input ${INPUTS})
  file(READ ${input} sql)
  string(APPEND entries "    R\"sql(${sql})sql\",\n")
endforeach()
list(LENGTH INPUTS count)
file(WRITE ${OUTPUT} "#pragma once
#include <array>
namespace crr {
// Index i brings a database from schema version i to i + 1.
inline constexpr std::array<const char*, ${count}> kMigrations = {
${entries}};
}  // namespace crr
")
