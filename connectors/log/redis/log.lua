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

-- What an entry costs beside its value, key and headers (bytes).
local ENTRY_BYTES = 24

-- The bytes that a partition holds are counted in the topic registry, in the field `<topic>:<n>`: exactly
-- while it grows; what a trim takes away is taken to be of average size.
local function scale(registry, field, bytes, length, left)
    redis.call('HSET', registry, field, string.format('%.0f', length > 0 and bytes * left / length or 0))
end

-- log_append: put a batch at the end of a partition.
-- KEYS  stream, topic registry
-- ARGV  topic, partition, log id, now (ms), cap in entries, cap in bytes, what to do at the cap: refuse or drop,
--       one digit per message: the sum of 1 for a value, 2 for a key, 4 for headers;
--       then per message its value, key and headers, those it has
-- Returns the offset of the first message; the others follow it.
-- Errors  STALELOG  the topic has another log id by now, or is gone
--         FULLLOG   refuse, and the stream is at its cap
-- Atomic, because the offsets follow from the newest entry, and because a topic may be made again meanwhile.
local function log_append(keys, args)
    local call, stream, registry = redis.call, keys[1], keys[2]
    local field = args[1] .. ':' .. args[2]
    local found = call('HMGET', registry, args[1], field)
    if not found[1] or string.match(found[1], '^%S+') ~= args[3] then
        return redis.error_reply('STALELOG the topic was deleted or made again')
    end
    local cap_entries, cap_bytes = tonumber(args[5]), tonumber(args[6])
    local length, bytes = call('XLEN', stream), tonumber(found[2] or 0)
    local is_over = length >= cap_entries or bytes >= cap_bytes
    if is_over and args[7] == 'refuse' then
        return redis.error_reply(string.format('FULLLOG %.0f records, %.0f bytes', length, bytes))
    end
    local offset, ts = 0, tonumber(args[4])
    local last = newest(stream)
    if last then
        offset = offset_of(last)
        ts = math.max(ts, tonumber(last[2][2]))
    end
    local first, stamp, flags = offset + 1, string.format('%.0f', ts), args[8]
    local at, added = 9, #flags * ENTRY_BYTES
    for i = 1, #flags do
        offset = offset + 1
        local parts = string.byte(flags, i) - 48
        if parts == 3 then
            call('XADD', stream, id(offset), 'ts', stamp, 'v', args[at], 'k', args[at + 1])
            added = added + #args[at] + #args[at + 1]
            at = at + 2
        else
            local fields = { 'ts', stamp }
            for bit, name in ipairs({ 'v', 'k', 'h' }) do
                if math.floor(parts / 2 ^ (bit - 1)) % 2 == 1 then
                    fields[#fields + 1] = name
                    fields[#fields + 1] = args[at]
                    added = added + #args[at]
                    at = at + 1
                end
            end
            call('XADD', stream, id(offset), unpack(fields))
        end
    end
    bytes, length = call('HINCRBY', registry, field, added), length + #flags
    if is_over then
        local share = math.min(1, cap_entries / length, cap_bytes / bytes)
        local gone = call('XTRIM', stream, 'MAXLEN', '~', math.max(1, math.floor(length * share)))
        scale(registry, field, bytes, length, length - gone)
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
-- KEYS  stream, topic registry
-- ARGV  topic, partition, offset
-- Returns how many went. Atomic, because an entry that came meanwhile would be the newest.
local function log_trim(keys, args)
    local last = newest(keys[1])
    if not last then
        return 0
    end
    local before = math.min(tonumber(args[3]), offset_of(last))
    local length = redis.call('XLEN', keys[1])
    local gone = redis.call('XTRIM', keys[1], 'MINID', '=', id(before))
    local field = args[1] .. ':' .. args[2]
    local bytes = redis.call('HGET', keys[2], field)
    if gone > 0 and bytes then
        scale(keys[2], field, tonumber(bytes), length, length - gone)
    end
    return gone
end

redis.register_function('log_append', log_append)
redis.register_function('log_trim', log_trim)
redis.register_function({ function_name = 'log_bounds', callback = log_bounds, flags = { 'no-writes' } })
