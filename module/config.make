# Has cmake build the core, whenever nginx's make runs: cmake knows what has
# changed.

cat << END                                                    >> $NGX_MAKEFILE

$weir_core/core/libweir.a:	weir_core

.PHONY:	weir_core

weir_core:
	cmake -S $ngx_addon_dir/.. -B $weir_core \\
		-DCMAKE_BUILD_TYPE=RelWithDebInfo -DWEIR_MODULE=OFF \\
		-DWEIR_TOOLS=OFF -DWEIR_TESTS=OFF -DWEIR_BENCH=OFF
	cmake --build $weir_core --target weir_static

END
