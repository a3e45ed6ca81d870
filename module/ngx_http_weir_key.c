
/*
 * Who a client is: its address, $weir_client, and the key under which a zone
 * limits it.
 *
 * $weir_client is the address cut to the default prefixes, so that in keys of
 * several parts, too, one IPv6 /64 is one client.  A key that is nothing but
 * the address, cut or not, is cut to the zone's own prefixes.
 */

#include "ngx_http_weir_module.h"


#define NGX_HTTP_WEIR_CLIENT_IPV4_PREFIX  32
#define NGX_HTTP_WEIR_CLIENT_IPV6_PREFIX  64


static ngx_int_t ngx_http_weir_is_client(ngx_str_t *key, void *addr,
    size_t len);


/* The client's address in binary: 4 or 16 bytes; 0 if it has none (unix:). */

size_t
ngx_http_weir_address(ngx_connection_t *c, void **addr)
{
    switch (c->sockaddr->sa_family) {

#if (NGX_HAVE_INET6)
    case AF_INET6:
        *addr = &((struct sockaddr_in6 *) c->sockaddr)->sin6_addr;
        return 16;
#endif

    case AF_INET:
        *addr = &((struct sockaddr_in *) c->sockaddr)->sin_addr;
        return 4;

    default:
        *addr = NULL;
        return 0;
    }
}


/*
 * The value of $weir_client; of a client without an address, what
 * $binary_remote_addr has for it.
 */

ngx_int_t
ngx_http_weir_client(ngx_http_request_t *r, ngx_str_t *client)
{
    void    *addr;
    size_t   len;

    len = ngx_http_weir_address(r->connection, &addr);

    if (len == 0) {
        *client = r->connection->addr_text;
        return NGX_OK;
    }

    client->data = ngx_pnalloc(r->pool, 16);
    if (client->data == NULL) {
        return NGX_ERROR;
    }

    client->len = weir_client_key(addr, len, NGX_HTTP_WEIR_CLIENT_IPV4_PREFIX,
                                  NGX_HTTP_WEIR_CLIENT_IPV6_PREFIX,
                                  client->data);
    return NGX_OK;
}


/* The key under which the zone limits this request. NGX_DECLINED: none. */

ngx_int_t
ngx_http_weir_key(ngx_http_request_t *r, ngx_http_weir_zone_t *zone,
    ngx_str_t *key)
{
    void    *addr;
    u_char  *masked;
    size_t   len;

    if (ngx_http_complex_value(r, &zone->key, key) != NGX_OK) {
        return NGX_ERROR;
    }

    if (key->len == 0) {
        return NGX_DECLINED;
    }

    if (key->len > 65535) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "the value of the \"%V\" key "
                      "is more than 65535 bytes: \"%V\"",
                      &zone->key.value, key);
        return NGX_DECLINED;
    }

    len = ngx_http_weir_address(r->connection, &addr);

    if (len == 0 || !ngx_http_weir_is_client(key, addr, len)) {
        return NGX_OK;
    }

    masked = ngx_pnalloc(r->pool, 16);
    if (masked == NULL) {
        return NGX_ERROR;
    }

    key->len = weir_client_key(addr, len, zone->ipv4_prefix,
                               zone->ipv6_prefix, masked);
    key->data = masked;

    return NGX_OK;
}


/* Whether a key is the client's address, as it is or as $weir_client. */

static ngx_int_t
ngx_http_weir_is_client(ngx_str_t *key, void *addr, size_t len)
{
    u_char  client[16];

    if (key->len == len && ngx_memcmp(key->data, addr, len) == 0) {
        return 1;
    }

    if (key->len != 4 && key->len != 16) {
        return 0;
    }

    len = weir_client_key(addr, len, NGX_HTTP_WEIR_CLIENT_IPV4_PREFIX,
                          NGX_HTTP_WEIR_CLIENT_IPV6_PREFIX, client);

    return key->len == len && ngx_memcmp(key->data, client, len) == 0;
}
