# country.mmdb: a real, world-wide country database for the demo and the tests, made from Debian's
# tor-geoipdb (the IPFire location data, CC BY-SA 4.0; the database names its source).

set(tor_geoip /usr/share/tor/geoip)
set(WEIR_COUNTRY_DB ${PROJECT_BINARY_DIR}/country.mmdb)

if(EXISTS ${tor_geoip})
  add_custom_command(
    OUTPUT ${WEIR_COUNTRY_DB}
    COMMAND ${PROJECT_SOURCE_DIR}/scripts/make-country-db ${WEIR_COUNTRY_DB}
    DEPENDS ${PROJECT_SOURCE_DIR}/scripts/make-country-db
            ${PROJECT_SOURCE_DIR}/core/src/geo/country_table.inc ${tor_geoip} ${tor_geoip}6
    COMMENT "Making country.mmdb"
    VERBATIM)
  add_custom_target(country_db ALL DEPENDS ${WEIR_COUNTRY_DB})
elseif(WEIR_TESTS AND WEIR_MODULE)
  message(FATAL_ERROR "no ${tor_geoip}: install tor-geoipdb (scripts/setup test), "
                      "or build without the tests: -DWEIR_TESTS=OFF")
endif()
