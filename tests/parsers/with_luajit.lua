-- Prints the constants of tim.h as LuaJIT reads them, and calls the library.
-- Usage: with_luajit.lua CC INCLUDE_DIR LIBRARY
local ffi = require("ffi")
local cc, include, library = arg[1], arg[2], arg[3]
local preprocessor = assert(io.popen(cc .. " -E -P -x c '" .. include .. "/tim.h'"))
local text = preprocessor:read("*a")
assert(preprocessor:close())
ffi.cdef(text)
local tim = ffi.load(library)
for name in text:gmatch("%f[%w_](TIM_[%w_]+)") do
    print(name, tonumber(tim[name]))
end
assert(ffi.string(tim.tim_error_name(tim.TIM_ERR_BANNED)) == "TIM_ERR_BANNED")
