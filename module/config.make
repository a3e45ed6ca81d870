# Has cmake build the core when nginx's make needs it.

cat << END                                                    >> $NGX_MAKEFILE

$weir_core/core/libweir.a:	$ngx_addon_dir/../core
	cmake -S $ngx_addon_dir/.. -B $weir_core \\
		-DCMAKE_BUILD_TYPE=RelWithDebInfo -DWEIR_MODULE=OFF \\
		-DWEIR_TESTS=OFF -DWEIR_BENCH=OFF
	cmake --build $weir_core --target weir_static

END
