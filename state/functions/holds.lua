-- The records of holds: what each keeps from the pool, and how it is given back.
--
-- `hold:<hold>` is a hash: `f` fingerprint of the request, `x` expiry (ms), `b` by what it was made (a channel, a till),
-- `s` the shards that keep a part of it, `o` the order that it is pinned for, `u:<sku>` units held of the pool, and
-- `l:<sku>US<location>` units held at a location, with the place that they were taken from. `holds` lists all by expiry.
-- A hold lives while its record exists, whatever the time: it ends together with its units, in one call. What it ended
-- by stays a while in `ended:<hold>`, for requests that come once more.

local holds = {} -- what other files use of this one

do
  local ENDED_MS, EXPIRED, SOLD -- from state/protocol/holds.py
  local BY_ORDER -- from state/events/order_key.py
  local ITEM = '^(.-)\31(.*)$' -- of a field: SKU, location
  local TERMS = '^(%S+) (%S+) (%S+) (%S+) (%S+)$' -- units, class, floor, base, revision of the sums

  local function line_of(field, value)
    local item = sub(field, 3)
    if sub(field, 1, 2) == 'u:' then return { sku = item, units = tonumber(value) } end
    local sku, location = string.match(item, ITEM)
    local units, class, place_floor, base, revision = string.match(value, TERMS)
    return {
      sku = sku, location = location, units = tonumber(units),
      class = tonumber(class), floor = tonumber(place_floor), base = tonumber(base), revision = tonumber(revision),
    }
  end

  -- The record of a hold, nil when there is none. One that ended in this call has `how`.
  function holds.of(run, hold)
    if not run.holds then run.holds = {} end
    local record = run.holds[hold]
    if record then return record end
    local flat = call('HGETALL', run.prefix .. 'hold:' .. hold)
    if #flat == 0 then return nil end
    record = { hold = hold, order = '', lines = {} }
    for i = 1, #flat, 2 do
      local field, value = flat[i], flat[i + 1]
      if field == 'f' then record.fingerprint = value
      elseif field == 'x' then record.expiry = tonumber(value)
      elseif field == 'b' then record.by = value
      elseif field == 's' then record.shards = value
      elseif field == 'o' then record.order = value
      else record.lines[#record.lines + 1] = line_of(field, value) end
    end
    run.holds[hold] = record
    return record
  end

  -- Take units of a position for a hold, or give them back if below 0. Sums that another policy made are given up.
  function holds.reserve(s, p, line, units)
    local before = p[ON_HAND] - p[RESERVED] - p[UNAVAILABLE]
    p[RESERVED] = p[RESERVED] + units
    if s[REVISION] ~= line.revision then
      s[REVISION] = 0
      return
    end
    local after = before - units
    add_to_class(s, line.class, above(after - line.floor) - above(before - line.floor))
    if line.base == 1 then s[BASE] = s[BASE] + above(after) - above(before) end
  end

  -- End a hold: all that it keeps here goes back to the pool. `how` '' leaves no trace.
  function holds.finish(run, record, how)
    for _, line in ipairs(record.lines) do
      local name = line.location and 'l:' .. line.location
      local s = run.skus[line.sku] or load_sku(run, line.sku, name)
      touch(s, run)
      s.moved = true
      if name then holds.reserve(s, position_at(s, name), line, -line.units) else s[HELD] = s[HELD] - line.units end
    end
    record.how = how
  end

  local function text_of(line)
    if not line.location then return 'u:' .. line.sku, line.units end
    local place = format('%d %d %d %d %d', line.units, line.class, line.floor, line.base, line.revision)
    return 'l:' .. line.sku .. US .. line.location, place
  end

  local function write_record(key, record)
    local set = { 'x', int(record.expiry), 'o', record.order }
    if record.made then
      set[5], set[6], set[7], set[8], set[9], set[10] = 'f', record.fingerprint, 'b', record.by, 's', record.shards
      for _, line in ipairs(record.lines) do
        set[#set + 1], set[#set + 2] = text_of(line)
      end
    end
    wide('HSET', key, set)
  end

  -- Write the records that the call made, changed or ended.
  function holds.write(run)
    local queue = run.prefix .. 'holds'
    for hold, record in pairs(run.holds or {}) do
      local key = run.prefix .. 'hold:' .. hold
      if record.how then
        if not record.made then
          call('DEL', key)
          call('ZREM', queue, hold)
        end
        if record.how ~= '' then call('SET', run.prefix .. 'ended:' .. hold, record.how, 'PX', ENDED_MS) end
      elseif record.made or record.changed then
        write_record(key, record)
        call('ZADD', queue, record.expiry, hold)
      end
    end
  end

  -- What a call that changes holds alone keeps in hand. It is no event: nothing was sold, no alert names it.
  function holds.run_of(prefix, now_us, version_floor, revision)
    return {
      prefix = prefix, now_us = now_us, floor = version_floor, revision = revision, skus = {}, touched = {},
      mark = '', offset = 0, time = 0, log = floor(now_us / 1000),
    }
  end

  -- Write the SKUs that the call moved, due now, and its records.
  function holds.write_all(run)
    local changed = {}
    for _, s in ipairs(run.touched) do
      if s.moved then
        -- Sums stay of the policy that made them, and what a hold does is no news to those who sell.
        run.revision, s[WAS] = s[REVISION], ABSENT
        write_sku(run, s)
        if not s[QUEUED] then changed[#changed + 1] = s[SKU] end
      end
    end
    leased_queue.make_due(run.prefix .. 'due', run.log, changed)
    holds.write(run)
  end

  -- End the holds whose time is over, so many at most. Returns how many.
  function holds.sweep(prefix, now_us, version_floor, limit)
    local expired = call('ZRANGEBYSCORE', prefix .. 'holds', '-inf', floor(now_us / 1000), 'LIMIT', 0, limit)
    if #expired == 0 then return 0 end
    local run = holds.run_of(prefix, now_us, version_floor, 0)
    for _, hold in ipairs(expired) do
      local record = holds.of(run, hold)
      if record then holds.finish(run, record, EXPIRED) else call('ZREM', prefix .. 'holds', hold) end
    end
    holds.write_all(run)
    return #expired
  end

  -- An order was placed, or goods were sold, out of a hold: by which order, '' for none.
  function holds.consume(run, i)
    local record = holds.of(run, run.lines[i + 2])
    if record and not record.how then
      local order = run.lines[i + 3]
      holds.finish(run, record, (order == '') and SOLD or BY_ORDER .. order)
    end
  end
end
