#!lua name=penstock_log

-- The embedded log: one stream per topic partition, ids `<offset>-0` from 1 on, fields in this order:
--   ts  when it was appended (ms)
--   v   the value; absent for a tombstone
--   k   the key; absent when there is none
--   h   the headers, msgpack [[name, bytes], ...]; absent when there are none
-- Offsets of a stream have no gaps: entries are only ever removed from its old end, and never the newest.

local function id(offset)
    return string.format('%.0f-0', offset)
end

local function offset_of(entry)
    return tonumber(string.match(entry[1], '^%d+'))
end

local function newest(stream)
    return redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
end

-- Is the stream at one of its caps? The bytes are the server's own estimate, from a sample.
local function over(stream, cap_entries, cap_bytes)
    local length = redis.call('XLEN', stream)
    if length == 0 then
        return false
    end
    local bytes = redis.call('MEMORY', 'USAGE', stream)
    if length < cap_entries and bytes < cap_bytes then
        return false
    end
    return true, length, bytes
end

-- log_append: put a batch at the end of a partition.
-- KEYS  stream, topic registry
-- ARGV  topic, log id, now (ms), cap in entries, cap in bytes, what to do at the cap: refuse or drop,
--       one digit per message: the sum of 1 for a value, 2 for a key, 4 for headers;
--       then per message its value, key and headers, those it has
-- Returns the offset of the first message; the others follow it.
-- Errors  STALELOG  the topic has another log id by now, or is gone
--         FULLLOG   refuse, and the stream is at its cap
-- Atomic, because the offsets follow from the newest entry, and because a topic may be made again meanwhile.
local function log_append(keys, args)
    local stream = keys[1]
    local entry = redis.call('HGET', keys[2], args[1])
    if not entry or string.match(entry, '^%S+') ~= args[2] then
        return redis.error_reply('STALELOG the topic was deleted or made again')
    end
    local cap_entries, cap_bytes = tonumber(args[4]), tonumber(args[5])
    local is_over, length, bytes = over(stream, cap_entries, cap_bytes)
    if is_over and args[6] == 'refuse' then
        return redis.error_reply('FULLLOG ' .. length .. ' records, ' .. bytes .. ' bytes')
    end
    local offset, ts = 0, tonumber(args[3])
    local last = newest(stream)
    if last then
        offset = offset_of(last)
        ts = math.max(ts, tonumber(last[2][2]))
    end
    local first, stamp = offset + 1, string.format('%.0f', ts)
    local call, at = redis.call, 8
    for i = 1, #args[7] do
        offset = offset + 1
        local parts = string.byte(args[7], i) - 48
        if parts == 3 then
            call('XADD', stream, id(offset), 'ts', stamp, 'v', args[at], 'k', args[at + 1])
            at = at + 2
        else
            local fields = { 'ts', stamp }
            for bit, name in ipairs({ 'v', 'k', 'h' }) do
                if math.floor(parts / 2 ^ (bit - 1)) % 2 == 1 then
                    fields[#fields + 1] = name
                    fields[#fields + 1] = args[at]
                    at = at + 1
                end
            end
            call('XADD', stream, id(offset), unpack(fields))
        end
    end
    if is_over then
        local share = math.min(1, cap_entries / length, cap_bytes / bytes)
        call('XTRIM', stream, 'MAXLEN', '~', math.max(1, math.floor(length * share)))
    end
    return first
end

-- log_bounds: where a partition starts and ends.
-- KEYS  stream
-- Returns {offset of the oldest entry, 0 if none was ever trimmed; next offset to be written, 0 if none was}
local function log_bounds(keys)
    local last = newest(keys[1])
    if not last then
        return { 0, 0 }
    end
    local first = offset_of(redis.call('XRANGE', keys[1], '-', '+', 'COUNT', 1)[1])
    return { first == 1 and 0 or first, offset_of(last) + 1 }
end

-- log_trim: drop the entries below an offset, never the newest.
-- KEYS  stream
-- ARGV  offset
-- Returns how many went. Atomic, because an entry that came meanwhile would be the newest.
local function log_trim(keys, args)
    local last = newest(keys[1])
    if not last then
        return 0
    end
    local before = math.min(tonumber(args[1]), offset_of(last))
    return redis.call('XTRIM', keys[1], 'MINID', '=', id(before))
end

redis.register_function('log_append', log_append)
redis.register_function('log_trim', log_trim)
redis.register_function({ function_name = 'log_bounds', callback = log_bounds, flags = { 'no-writes' } })
