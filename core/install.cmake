# What `cmake --install` gives: headers, both libraries, weir.pc and a CMake package with the
# targets weir::shared and weir::static.

include(CMakePackageConfigHelpers)

install(
  TARGETS weir_shared weir_static
  EXPORT weir
  COMPONENT core
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/weir DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT core)

# weir.pc finds the prefix from its own place, so that the installation can be moved.
file(RELATIVE_PATH prefix_from_pc /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(weir.pc.in weir.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/weir.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
        COMPONENT core)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/weir)
install(EXPORT weir NAMESPACE weir:: FILE weir-targets.cmake DESTINATION ${package_dir}
        COMPONENT core)
configure_package_config_file(weir-config.cmake.in weir-config.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(weir-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/weir-config.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/weir-config-version.cmake DESTINATION ${package_dir}
        COMPONENT core)
