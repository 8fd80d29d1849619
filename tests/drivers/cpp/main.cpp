// SPDX-License-Identifier: Apache-2.0
//
// Holds stayline.hpp to scenario files: one JSON object a line on stdin, one answer a line on
// stdout (docs/drivers.md). The interpreter in stayline.testing decides what happens and when; the
// operations only translate. Coordinator operations are in coordinator and session, the wrapper's
// machine is behind wrapper, reading arguments in arguments.
#include <iostream>

#include "coordinator.hpp"
#include "wrapper.hpp"

namespace {

/// All that a scenario made.
class Driver {
public:
    Json answer(const std::string& line) {
        const Json request = Json::parse(line, nullptr, false);
        if (!request.is_object()) {
            return {{"id", nullptr}, {"error", bad_argument("the line is no JSON object")}};
        }
        const Json id = request.value("id", Json());
        try {
            return {{"id", id}, {"ok", perform(Arguments(request, line))}};
        } catch (const stayline::Error& error) {
            return {{"id", id}, {"error", Json::parse(error.json())}};
        } catch (const UnknownOperation& unknown) {
            const std::string operation = unknown.what();
            return {{"id", id},
                    {"error",
                     {{"name", "UnknownOperation"},
                      {"message", "there is no operation \"" + operation + "\""},
                      {"operation", operation}}}};
        } catch (const BadArgument& error) {
            return {{"id", id}, {"error", bad_argument(error.what())}};
        }
    }

private:
    static Json bad_argument(const char* what) {
        return {{"name", "BadArgument"}, {"message", what}};
    }

    Json perform(const Arguments& arguments) {
        const std::string operation = arguments.text("do");
        if (operation == "hello") {
            return {{"driver", "stayline-driver-cpp"},
                    {"version", stayline::version()},
                    {"capabilities", Json::array()}};
        }
        if (operation == "reset") {
            wrappers_.reset();
            coordinator_.reset();
            return {};
        }
        return operation.rfind("w_", 0) == 0 ? wrappers_.perform(operation, arguments)
                                             : coordinator_.perform(operation, arguments);
    }

    CoordinatorSide coordinator_;
    WrapperSide wrappers_;
};

}  // namespace

int main() {
    Driver driver;
    std::string line;
    while (std::getline(std::cin, line)) {
        if (line.find_first_not_of(" \t\r") != std::string::npos) {
            std::cout << driver.answer(line).dump() << std::endl;
        }
    }
    return 0;
}
