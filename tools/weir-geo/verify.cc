#include "verify.h"

#include <arpa/inet.h>

#include <iostream>
#include <string>
#include <vector>

#include "compiled_file.h"
#include "country_text.h"
#include "json.h"

namespace weir::tool {
namespace {

std::string address_text(const IpAddress& address) {
  char text[INET6_ADDRSTRLEN];
  inet_ntop(address.length == 4 ? AF_INET : AF_INET6, address.bytes.data(), text, sizeof(text));
  return text;
}

std::string country_object(const Country& country) {
  JsonObject object;
  add_country(country, &object);
  return object.text();
}

void report_in_json(const CountryVerification& result, std::ostream& out) {
  std::vector<std::string> first;
  for (const CountryDisagreement& one : result.first) {
    first.push_back(JsonObject()
                        .add_string("address", address_text(one.address))
                        .add("libmaxminddb", country_object(one.expected))
                        .add("table", country_object(one.found))
                        .text());
  }
  out << JsonObject()
             .add_number("networks", result.networks)
             .add_number("repetitions_left_out", result.repetitions_left_out)
             .add_number("addresses", result.addresses)
             .add_number("known", result.known)
             .add_number("disagreements", result.disagreements)
             .add("first_disagreements", json_array(first))
             .text()
      << '\n';
}

void report_in_words(const CountryVerification& result, std::ostream& out) {
  out << "networks compared     " << result.networks << '\n';
  if (result.repetitions_left_out != 0)
    out << "repetitions left out  " << result.repetitions_left_out << '\n';
  out << "addresses compared    " << result.addresses << '\n'
      << "with a known country  " << result.known << '\n'
      << "disagreements         " << result.disagreements << '\n';
  for (const CountryDisagreement& one : result.first) {
    out << "  " << address_text(one.address) << ": libmaxminddb has \""
        << country_columns(one.expected, ' ') << "\", the table \""
        << country_columns(one.found, ' ') << "\"\n";
  }
  if (result.disagreements > result.first.size()) out << "  ...\n";
}

}  // namespace

ExitCode report(const CountryVerification& result, bool json, std::ostream& out) {
  if (json) {
    report_in_json(result, out);
  } else {
    report_in_words(result, out);
  }
  return result.disagreements == 0 ? kSuccess : kFoundWrong;
}

ExitCode verify(const Options& options) {
  CompiledFile compiled;
  if (!compiled.open_countries(options)) return kNoDatabase;
  return report(verify_countries(compiled.mmdb(), *compiled.schema(), *compiled.table()),
                options.json, std::cout);
}

}  // namespace weir::tool
