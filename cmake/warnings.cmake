# The warnings that all C++ of ours is compiled with: target_link_libraries(X PRIVATE weir_warnings).
add_library(weir_warnings INTERFACE)
target_compile_options(
  weir_warnings
  INTERFACE -Wall
            -Wextra
            -Wpedantic
            -Wshadow
            -Wconversion
            $<$<BOOL:${WEIR_WERROR}>:-Werror>)
