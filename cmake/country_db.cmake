# Two real, world-wide country databases for the demo and the tests, made from Debian's tor-geoipdb
# (the IPFire location data, CC BY-SA 4.0; the databases name their source): country.mmdb in
# MaxMind's nested schema, and country-flat.mmdb in ip-location-db's.

set(tor_geoip /usr/share/tor/geoip)
set(WEIR_COUNTRY_DB ${PROJECT_BINARY_DIR}/country.mmdb)
set(WEIR_FLAT_COUNTRY_DB ${PROJECT_BINARY_DIR}/country-flat.mmdb)

function(make_country_db output)
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${PROJECT_SOURCE_DIR}/scripts/make-country-db ${ARGN} ${output}
    DEPENDS ${PROJECT_SOURCE_DIR}/scripts/make-country-db
            ${PROJECT_SOURCE_DIR}/core/src/geo/country_table.inc ${tor_geoip} ${tor_geoip}6
    COMMENT "Making a country database"
    VERBATIM)
endfunction()

if(EXISTS ${tor_geoip})
  make_country_db(${WEIR_COUNTRY_DB})
  set(databases ${WEIR_COUNTRY_DB})
  if(WEIR_TESTS)
    make_country_db(${WEIR_FLAT_COUNTRY_DB} --flat)
    list(APPEND databases ${WEIR_FLAT_COUNTRY_DB})
  endif()
  add_custom_target(country_db ALL DEPENDS ${databases})
elseif(WEIR_TESTS)
  message(FATAL_ERROR "no ${tor_geoip}: install tor-geoipdb (scripts/setup test), "
                      "or build without the tests: -DWEIR_TESTS=OFF")
endif()
