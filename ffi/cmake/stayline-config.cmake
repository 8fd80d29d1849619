# SPDX-License-Identifier: Apache-2.0
#
# find_package(stayline): the targets stayline::stayline (the shared library) and
# stayline::stayline_static, whichever are installed. Everything is found from where this file is,
# so that the installed tree may be moved.

get_filename_component(_stayline_libdir "${CMAKE_CURRENT_LIST_DIR}/../.." REALPATH)

# lib/ beside include/, or lib/<architecture>/.
unset(_stayline_include)
foreach(_stayline_up ".." "../..")
    if(NOT _stayline_include AND EXISTS "${_stayline_libdir}/${_stayline_up}/include/stayline.h")
        get_filename_component(
            _stayline_include "${_stayline_libdir}/${_stayline_up}/include" ABSOLUTE)
    endif()
endforeach()

# Written out: CMake knows the suffixes of a project's languages only, which may come later.
if(APPLE)
    set(_stayline_shared "${_stayline_libdir}/libstayline.dylib")
else()
    set(_stayline_shared "${_stayline_libdir}/libstayline.so")
endif()
set(_stayline_static "${_stayline_libdir}/libstayline.a")

set(stayline_FOUND TRUE)
if(NOT _stayline_include)
    set(stayline_FOUND FALSE)
    set(stayline_NOT_FOUND_MESSAGE "there is no include/stayline.h near ${_stayline_libdir}")
elseif(NOT EXISTS "${_stayline_shared}" AND NOT EXISTS "${_stayline_static}")
    set(stayline_FOUND FALSE)
    set(stayline_NOT_FOUND_MESSAGE "there is no library in ${_stayline_libdir}")
endif()

if(stayline_FOUND AND EXISTS "${_stayline_shared}" AND NOT TARGET stayline::stayline)
    add_library(stayline::stayline SHARED IMPORTED)
    set_target_properties(stayline::stayline PROPERTIES
        IMPORTED_LOCATION "${_stayline_shared}"
        INTERFACE_INCLUDE_DIRECTORIES "${_stayline_include}")
endif()

if(stayline_FOUND AND EXISTS "${_stayline_static}" AND NOT TARGET stayline::stayline_static)
    # What the library itself needs of the system is said in one place, for pkg-config too.
    file(STRINGS "${_stayline_libdir}/pkgconfig/stayline.pc" _stayline_private
         REGEX "^Libs\\.private:")
    string(REGEX REPLACE "^Libs\\.private:[ ]*" "" _stayline_private "${_stayline_private}")
    string(REGEX REPLACE "[ ]+" ";" _stayline_private "${_stayline_private}")
    add_library(stayline::stayline_static STATIC IMPORTED)
    set_target_properties(stayline::stayline_static PROPERTIES
        IMPORTED_LOCATION "${_stayline_static}"
        INTERFACE_INCLUDE_DIRECTORIES "${_stayline_include}"
        INTERFACE_LINK_LIBRARIES "${_stayline_private}")
    unset(_stayline_private)
endif()

# What somebody asks for by name: `shared` or `static`.
foreach(_stayline_component IN LISTS stayline_FIND_COMPONENTS)
    set(stayline_${_stayline_component}_FOUND FALSE)
    if(_stayline_component STREQUAL "shared" AND TARGET stayline::stayline)
        set(stayline_shared_FOUND TRUE)
    elseif(_stayline_component STREQUAL "static" AND TARGET stayline::stayline_static)
        set(stayline_static_FOUND TRUE)
    elseif(stayline_FIND_REQUIRED_${_stayline_component} AND stayline_FOUND)
        set(stayline_FOUND FALSE)
        if(_stayline_component MATCHES "^(shared|static)$")
            set(stayline_NOT_FOUND_MESSAGE
                "the ${_stayline_component} library is not in ${_stayline_libdir}")
        else()
            set(stayline_NOT_FOUND_MESSAGE
                "there is no component ${_stayline_component}; there are shared and static")
        endif()
    endif()
endforeach()
unset(_stayline_component)

unset(_stayline_libdir)
unset(_stayline_include)
unset(_stayline_up)
unset(_stayline_shared)
unset(_stayline_static)
