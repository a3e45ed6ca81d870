// weir-geo: what weir makes of a database, on the command line.

#include <CLI/CLI.hpp>
#include <exception>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "command.h"
#include "error.h"
#include "fields.h"
#include "geo/field_path.h"
#include "info.h"
#include "lookup.h"
#include "verify.h"
#include "weir/weir.h"

namespace weir::tool {
namespace {

constexpr const char* kExitCodes =
    "Exit codes:\n"
    "  0  all right\n"
    "  1  lookup: some input was no address; verify: there are disagreements\n"
    "  2  wrong use\n"
    "  3  the file can't be read, is broken, or lacks the countries that were asked for; or the\n"
    "     output can't be written\n";

std::string problem_of_field(const std::string& text) {
  FieldPath path;
  weir_error_t error{};
  return FieldPath::parse(text, &path, &error) == WEIR_OK ? "" : error.text;
}

class CommandLine {
 public:
  CommandLine() {
    app_.set_version_flag("--version", std::string("weir-geo ") + weir_version());
    app_.require_subcommand(1);
    app_.footer(kExitCodes);  // inherited by the commands

    CLI::App* const look_up = add("lookup", "Print the countries of addresses, or other fields",
                                  [this] { return lookup(options_, fields_, addresses_); });
    look_up
        ->add_option_function<std::vector<std::string>>(
            "--field", [this](const auto& paths) { add_fields(paths); },
            "A field to print in place of the country, of any database; may be given several times")
        ->type_name("PATH.TO.FIELD")
        ->allow_extra_args(false)  // what follows its path are addresses
        ->excludes("--country");
    look_up
        ->add_option("ADDRESS", addresses_,
                     "IPv4 or IPv6; \"-\", or none: one a line from standard input")
        ->type_name("");
    add("verify", "Compare the compiled table with libmaxminddb, over all networks of the file",
        [this] { return verify(options_); });
    add("info", "Describe the file, and the table that it compiles to if it has countries",
        [this] { return info(options_); });
  }

  int run(int argc, char** argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::Success& success) {  // --help, --version
      return app_.exit(success);
    } catch (const CLI::ParseError& error) {
      std::cerr << "weir-geo: " << problem(error) << "; see weir-geo --help\n";
      return kWrongUse;
    }
    return run_();
  }

 private:
  CLI::App* add(const std::string& name, const std::string& what,
                const std::function<ExitCode()>& run) {
    CLI::App* const command = app_.add_subcommand(name, what);
    command->add_option("--db", options_.path, "The database, an .mmdb file")
        ->required()
        ->type_name("FILE");
    command
        ->add_option("--country", options_.field,
                     "The field that has the country's code; default: found out from the records")
        ->type_name("PATH.TO.FIELD")
        ->check(problem_of_field, "");
    command->add_flag("--json", options_.json, "Print JSON, an object a line");
    command->callback([this, run] { run_ = run; });
    return command;
  }

  void add_fields(const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
      weir_error_t error{};
      if (fields_.add(path, &error) != WEIR_OK) throw CLI::ValidationError("--field", error.text);
    }
  }

  // CLI11's own texts do not name the word that it did not expect.
  std::string problem(const CLI::ParseError& error) const {
    const auto unexpected = [](const CLI::App& app, const std::string& expected) {
      const std::vector<std::string> words = app.remaining();
      const std::string what =
          words.empty() ? ""
                        : std::string("unexpected ") + QuotedWord(words.front()).c_str() + ": ";
      return what + "expected " + expected;
    };
    const std::vector<CLI::App*> commands = app_.get_subcommands();  // those that were given
    for (const CLI::App* command : commands) {
      if (command->remaining_size() != 0)
        return unexpected(*command, "an option of " + command->get_name());
    }
    if (commands.empty() || app_.remaining_size() != 0)
      return unexpected(app_, "lookup, verify or info, and the options behind it");
    return error.what();
  }

  CLI::App app_{"Looks addresses up in databases as weir does, verifies and describes them.",
                "weir-geo"};
  Options options_;
  Fields fields_;
  std::vector<std::string> addresses_;
  std::function<ExitCode()> run_;
};

int run(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  const int code = CommandLine().run(argc, argv);
  if (!std::cout.flush()) {
    std::cerr << "weir-geo: standard output can't be written\n";
    return kNoDatabase;
  }
  return code;
}

}  // namespace
}  // namespace weir::tool

int main(int argc, char** argv) {
  try {
    return weir::tool::run(argc, argv);
  } catch (const std::exception& exception) {  // no memory
    std::cerr << "weir-geo: " << exception.what() << '\n';
    return weir::tool::kNoDatabase;
  }
}
