# What `cmake --install` lays down: bin/freshet, and a package that find_package(Freshet) finds: include/freshet/ and one
# archive, lib/libfreshet.a, of the cache room and every room under it.
include(CMakePackageConfigHelpers)

# Splits what `target` links, transitively, into rooms and foreign libraries.
function(freshet_closure target rooms_variable foreign_variable)
  set(rooms ${target})
  set(foreign)
  get_target_property(links ${target} INTERFACE_LINK_LIBRARIES)
  foreach(link ${links})
    if(link MATCHES "^freshet_")
      freshet_closure(${link} inner_rooms inner_foreign)
      list(APPEND rooms ${inner_rooms})
      list(APPEND foreign ${inner_foreign})
    elseif(link)
      list(APPEND foreign ${link})
    endif()
  endforeach()
  list(REMOVE_DUPLICATES rooms)
  list(REMOVE_DUPLICATES foreign)
  set(${rooms_variable} ${rooms} PARENT_SCOPE)
  set(${foreign_variable} ${foreign} PARENT_SCOPE)
endfunction()

freshet_closure(freshet_cache rooms foreign)
set(objects)
foreach(room ${rooms})
  get_target_property(type ${room} TYPE)
  if(type STREQUAL "STATIC_LIBRARY")
    list(APPEND objects $<TARGET_OBJECTS:${room}>)
  endif()
endforeach()

add_library(freshet_archive STATIC ${objects})
add_library(Freshet::freshet ALIAS freshet_archive)
set_target_properties(freshet_archive PROPERTIES OUTPUT_NAME freshet EXPORT_NAME freshet LINKER_LANGUAGE CXX)
target_compile_features(freshet_archive INTERFACE cxx_std_20)
target_include_directories(freshet_archive INTERFACE $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
# Private: users link these libraries but never see their headers.
target_link_libraries(freshet_archive PRIVATE ${foreign})

set(package_directory ${CMAKE_INSTALL_LIBDIR}/cmake/Freshet)
configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/FreshetConfig.cmake.in ${CMAKE_BINARY_DIR}/FreshetConfig.cmake
  INSTALL_DESTINATION ${package_directory})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/FreshetConfigVersion.cmake COMPATIBILITY SameMinorVersion)

install(TARGETS freshet RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS freshet_archive EXPORT FreshetTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/freshet DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(EXPORT FreshetTargets NAMESPACE Freshet:: DESTINATION ${package_directory})
install(FILES ${CMAKE_BINARY_DIR}/FreshetConfig.cmake ${CMAKE_BINARY_DIR}/FreshetConfigVersion.cmake
  DESTINATION ${package_directory})
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
