
/*
 * A module file that is replaced while nginx runs.  A reload opens it again by
 * its path, and gets what is loaded already, whatever the path now leads to:
 * an upgrade that seems to have gone well has changed nothing until nginx is
 * restarted.  So the file is looked at when the module is first configured,
 * and each later configuration says if it is another one.
 *
 * What is remembered lives as long as the loaded module.
 */

#include "ngx_http_weir_module.h"

#include <dlfcn.h>


static struct {
    dev_t                               dev;
    ngx_file_uniq_t                     uniq;
    off_t                               size;
    time_t                              mtime;
    unsigned                            known:1;
} ngx_http_weir_loaded;


void
ngx_http_weir_check_loaded(ngx_conf_t *cf)
{
    Dl_info          module, nginx;
    ngx_file_info_t  fi;

    if (dladdr((void *) &ngx_http_weir_module, &module) == 0
        || dladdr((void *) &ngx_cycle, &nginx) == 0
        || module.dli_fbase == nginx.dli_fbase)
    {
        /* the module is part of nginx */
        return;
    }

    if (ngx_file_info(module.dli_fname, &fi) == NGX_FILE_ERROR) {

        if (ngx_http_weir_loaded.known) {
            ngx_log_error(NGX_LOG_WARN, cf->log, ngx_errno,
                          "the module file \"%s\" is gone; the running nginx "
                          "goes on with what it has loaded, but could not be "
                          "started again", module.dli_fname);
        }

        return;
    }

    if (!ngx_http_weir_loaded.known) {
        ngx_http_weir_loaded.dev = fi.st_dev;
        ngx_http_weir_loaded.uniq = ngx_file_uniq(&fi);
        ngx_http_weir_loaded.size = ngx_file_size(&fi);
        ngx_http_weir_loaded.mtime = ngx_file_mtime(&fi);
        ngx_http_weir_loaded.known = 1;
        return;
    }

    if (ngx_http_weir_loaded.dev != fi.st_dev
        || ngx_http_weir_loaded.uniq != ngx_file_uniq(&fi)
        || ngx_http_weir_loaded.size != ngx_file_size(&fi)
        || ngx_http_weir_loaded.mtime != ngx_file_mtime(&fi))
    {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "the module file \"%s\" was replaced; the running nginx "
                      "goes on with the old one until it is restarted",
                      module.dli_fname);
    }
}
