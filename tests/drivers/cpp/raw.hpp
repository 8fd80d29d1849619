// SPDX-License-Identifier: Apache-2.0
//
// The JSON of one field, byte for byte as it stands in a request: a parsed value has lost white
// space, escapes, the order of its members and digits.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

/// Where the value that begins at `from` ends: before the comma or bracket that does not belong to
/// it. `line` is known to be JSON.
inline std::size_t end_of_value(std::string_view line, std::size_t from) {
    std::size_t depth = 0;
    bool in_text = false;
    for (std::size_t place = from; place < line.size(); ++place) {
        const char byte = line[place];
        if (in_text) {
            place += byte == '\\' ? 1 : 0;
            in_text = byte != '"';
        } else if (byte == '"') {
            in_text = true;
        } else if (byte == '{' || byte == '[') {
            ++depth;
        } else if (depth == 0 && (byte == ',' || byte == '}' || byte == ']' || byte == ':')) {
            return place;
        } else if (byte == '}' || byte == ']') {
            --depth;
        }
    }
    return line.size();
}

/// The field of that name of the object that `line` is; of several the last.
inline std::optional<std::string> raw_field(std::string_view line, std::string_view name) {
    constexpr std::string_view space = " \t\r\n";
    std::optional<std::string> found;
    std::size_t place = line.find('{') + 1;
    for (;;) {
        const std::size_t colon = end_of_value(line, place);
        if (colon >= line.size() || line[colon] != ':') {
            return found;
        }
        const auto key = nlohmann::json::parse(line.substr(place, colon - place));
        const std::size_t from = line.find_first_not_of(space, colon + 1);
        const std::size_t end = end_of_value(line, from);
        if (key.get<std::string>() == name) {
            const std::size_t last = line.find_last_not_of(space, end - 1);
            found = line.substr(from, last + 1 - from);
        }
        place = end + 1;
    }
}
