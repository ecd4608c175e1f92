-- Shared by every function of the library: small tools, versions, chunked writes, marks.
--
-- KEYS[1] of every call is `<namespace>{shard}:meta`; the other keys of the shard are named from it, so
-- that all keys of a call carry one hash tag. ARGV[1] is one msgpack value. No function reads a clock:
-- `now_us` comes with the call. Numbers go to commands as they are: Redis writes them with 17 digits.

-- What a function needs of Redis and of Lua's libraries, which are there only while one runs.
local call, byte, sub, format, pack, unpack_text

local ABSENT -- from state/protocol/common.py
local US -- from state/events/order_key.py
local WIDE = 4000 -- arguments in one command, below the limit of Lua's unpack

local function max(x, y)
  return (x > y) and x or y
end

local function min(x, y)
  return (x < y) and x or y
end

local function floor(x)
  return x - x % 1
end

local function int(n)
  return format('%d', n) -- tostring() loses digits above 1e14
end

local function prefix_of(keys)
  return sub(keys[1], 1, -5)
end

-- While the slot of a shard is on its way to another node of a cluster, Redis refuses to look for a key that
-- is not here: it may be there. A key that never exists asks that before anything is done.
local function on_its_way(keys)
  local answer = redis.pcall('EXISTS', prefix_of(keys) .. 'nothing')
  return type(answer) == 'table' and answer.err
end

local function register(name, run, flags)
  local function callback(keys, args)
    call, byte, sub, format = redis.call, string.byte, string.sub, string.format
    pack, unpack_text = struct.pack, struct.unpack
    if on_its_way(keys) then return redis.error_reply('TRYAGAIN the slot of the shard is on its way') end
    return run(keys, args)
  end
  redis.register_function({ function_name = name, callback = callback, flags = flags or {} })
end

local function next_version(v, now_us, version_floor)
  v = v + 1
  if v < now_us then v = now_us end
  return (v < version_floor) and version_floor or v
end

local function wide(command, key, list)
  local n = #list
  if n <= WIDE then
    if n > 0 then call(command, key, unpack(list)) end
    return
  end
  for i = 1, n, WIDE do
    call(command, key, unpack(list, i, min(i + WIDE - 1, n)))
  end
end

local META = { 'generation', 'floor', 'revision', 'server', 't', 'cursor', 'again', 'touch', 'recovered' }

local function meta_of(key)
  local m = call('HMGET', key, unpack(META))
  return {
    generation = tonumber(m[1] or 0), floor = tonumber(m[2] or 0), revision = tonumber(m[3] or 0),
    server = m[4] or '', t = tonumber(m[5] or 0), cursor = m[6] or '', again = tonumber(m[7] or 0),
    touch = m[8] or '', recovered = m[9] == '1',
  }
end

-- Marks of the parts, and those that are behind what the call builds on.
local function marks_of(key, parts)
  local names, marks, behind = {}, {}, {}
  for i, part in ipairs(parts) do names[i] = part[1] end
  if #names == 0 then return marks, behind end
  local values = call('HMGET', key, unpack(names))
  for i, part in ipairs(parts) do
    marks[i] = tonumber(values[i] or ABSENT)
    if marks[i] < part[2] then behind[#behind + 1] = { part[1], marks[i] } end
  end
  return marks, behind
end

local function raise_marks(key, parts, marks)
  local list = {}
  for i, part in ipairs(parts) do
    if part[3] > marks[i] then
      list[#list + 1] = part[1]
      list[#list + 1] = part[3]
    end
  end
  wide('HSET', key, list)
end

-- Since when (ms) the SKU has been due that has been due longest, 0 when none is.
