# SPDX-License-Identifier: Apache-2.0
#
# Which versions of Stayline this one can stand for, by the rule of the SONAME: from 1.0 on those
# of the same major number, before it those of the same minor number.

get_filename_component(_stayline_libdir "${CMAKE_CURRENT_LIST_DIR}/../.." REALPATH)
file(STRINGS "${_stayline_libdir}/pkgconfig/stayline.pc" PACKAGE_VERSION REGEX "^Version:")
string(REGEX REPLACE "^Version:[ ]*" "" PACKAGE_VERSION "${PACKAGE_VERSION}")

# "0.1" of "0.1.0", "2" of "2.3.4".
function(_stayline_series version out)
    if(version MATCHES "^0\\.([0-9]+)" OR version MATCHES "^0$")
        set(${out} "0.${CMAKE_MATCH_1}" PARENT_SCOPE)
    elseif(version MATCHES "^([0-9]+)")
        set(${out} "${CMAKE_MATCH_1}" PARENT_SCOPE)
    endif()
endfunction()

_stayline_series("${PACKAGE_VERSION}" _stayline_here)
if(PACKAGE_FIND_VERSION_RANGE)
    if(PACKAGE_FIND_VERSION_RANGE_MAX STREQUAL "INCLUDE")
        set(_stayline_below VERSION_LESS_EQUAL)
    else()
        set(_stayline_below VERSION_LESS)
    endif()
    if(PACKAGE_VERSION VERSION_GREATER_EQUAL PACKAGE_FIND_VERSION_MIN
       AND PACKAGE_VERSION ${_stayline_below} PACKAGE_FIND_VERSION_MAX)
        set(PACKAGE_VERSION_COMPATIBLE TRUE)
    endif()
else()
    _stayline_series("${PACKAGE_FIND_VERSION}" _stayline_asked)
    if(_stayline_asked STREQUAL _stayline_here
       AND PACKAGE_VERSION VERSION_GREATER_EQUAL PACKAGE_FIND_VERSION)
        set(PACKAGE_VERSION_COMPATIBLE TRUE)
    endif()
    if(PACKAGE_VERSION VERSION_EQUAL PACKAGE_FIND_VERSION)
        set(PACKAGE_VERSION_EXACT TRUE)
    endif()
endif()
