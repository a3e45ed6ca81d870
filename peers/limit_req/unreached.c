/*
 * What the included file of nginx's refers to while it reads configuration or
 * delays a request: never here. Each name ends the program, so that nobody
 * measures or tests something that isn't nginx.
 *
 * Data is declared as functions, too: only the linker sees these names.
 */

#include <stdio.h>
#include <stdlib.h>


#define UNREACHED(name)                                                       \
    void name(void);                                                          \
                                                                              \
    void                                                                      \
    name(void)                                                                \
    {                                                                         \
        fprintf(stderr, "limit_req_peer: expected never to reach " #name      \
                        "; what to do: build it in, or mend its caller\n");   \
        abort();                                                              \
    }


UNREACHED(ngx_array_push)
UNREACHED(ngx_conf_check_num_bounds)
UNREACHED(ngx_conf_log_error)
UNREACHED(ngx_conf_set_enum_slot)
UNREACHED(ngx_conf_set_flag_slot)
UNREACHED(ngx_conf_set_num_slot)
UNREACHED(ngx_event_timer_rbtree)
UNREACHED(ngx_handle_read_event)
UNREACHED(ngx_handle_write_event)
UNREACHED(ngx_http_add_variable)
UNREACHED(ngx_http_block_reading)
UNREACHED(ngx_http_compile_complex_value)
UNREACHED(ngx_http_core_module)
UNREACHED(ngx_http_core_run_phases)
UNREACHED(ngx_http_finalize_request)
UNREACHED(ngx_http_test_reading)
UNREACHED(ngx_palloc)
UNREACHED(ngx_parse_size)
UNREACHED(ngx_pcalloc)
UNREACHED(ngx_pnalloc)
UNREACHED(ngx_posted_events)
UNREACHED(ngx_shared_memory_add)
