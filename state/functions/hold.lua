-- hold, keep, release, sweep, holds: short promises, before there is an order.
--
-- KEYS[1]  {s}:meta
--
-- penstock_hold: check and take, atomically, so that no two holds take the same unit
-- ARGV[1]  [now_us, revision, sums_revision, requests]
--            request  [hold, fingerprint, expiry_ms, partial, by, location, shards, lines]: partial 0 or 1, location ""
--                     for the pool
--            lines    in one list. Of the pool: sku, quantity, and by what rule its channel may sell: units kept from it,
--                     share_bp, buffer, cut-off, list of classes, silent locations (as part_at takes places). At a
--                     location: sku, quantity, class, floor, base
-- Returns  msgpack of one of
--          ["REFUSED", revision] the caller's policy is older than the shard's
--          ["OK", answers] an answer for each request, one of
--            ["HELD", expiry_ms, units] by line; also when the same was asked before
--            ["SHORT", units] that there would be, by line; nothing is held, as after each of the following
--            ["STALE", skus] whose sums another policy made
--            ["CONFLICT"] the hold was made by another request
--            ["ENDED", how]
--
-- penstock_keep: let a hold live longer, and pin it for an order if one is named
-- ARGV[1]  [now_us, hold, order, expiry_ms]; order "" for none
-- Returns  msgpack of one of
--          ["KEPT", expiry_ms, by, shards, lines] lines in one list: sku, location, units
--          ["PLACED"] that order is placed already
--          ["PINNED", order] for another one
--          ["GONE", how] "" when that is not known
--
-- penstock_release: end holds; those pinned only for the order that they are pinned for
-- ARGV[1]  [now_us, items]; items in one list: hold, order ("" for none), how ("" leaves no trace)
-- Returns  msgpack of a list: 1 released, 0 not there, 2 pinned for an order
--
-- penstock_sweep: end the holds whose time is over
-- ARGV[1]  [now_us, limit]
-- Returns  how many
--
-- penstock_holds: what holds keep. Writes nothing
-- ARGV[1]  [cursor, limit, names]; the holds named, or, if none is, `limit` of them from the cursor on, by expiry
-- Returns  msgpack of [cursor, holds]: the cursor to go on with, or 0; each hold
--          [hold, expiry_ms, by, shards, order, lines], lines as above

do
  local SWEEP_MAX, ABSENT_HOLD, WAS_RELEASED, IS_PINNED -- from state/protocol/holds.py

  local function units_of(record, skus)
    local by_sku, units = {}, {}
    for _, line in ipairs(record.lines) do by_sku[line.sku] = line.units end
    for i, sku in ipairs(skus) do units[i] = by_sku[sku] or 0 end
    return units
  end

  -- What the pool may give to a line: what its channel may show at this moment.
  local function of_pool(s, line)
    local pool = -s[UNROUTED] - s[HELD] - line.kept
    for _, class in ipairs(line.classes) do
      if class < s[CLASSES] then pool = pool + s[SUMS + class + 1] end
    end
    if #line.silent > 0 then
      local silent = part_at(s[KEY], line.silent)
      for _, class in ipairs(line.classes) do pool = pool - (silent[class] or 0) end
    end
    local level = floor(pool * line.share_bp / 10000) - line.buffer
    return (level > line.cutoff) and level or 0
  end

  local function at_location(s, name)
    local p = position_at(s, name)
    local atp = p[ON_HAND] - p[RESERVED] - p[UNAVAILABLE]
    return above(min(atp, s[BASE] - s[UNROUTED] - s[HELD]))
  end

  local function lines_of(flat, location, revision)
    local lines, skus, step = {}, {}, (location == '') and 8 or 5
    for i = 1, #flat, step do
      local line = { sku = flat[i], units = flat[i + 1] }
      if location == '' then
        line.kept, line.share_bp, line.buffer, line.cutoff = flat[i + 2], flat[i + 3], flat[i + 4], flat[i + 5]
        line.classes, line.silent = flat[i + 6], flat[i + 7]
      else
        line.location, line.revision = location, revision
        line.class, line.floor, line.base = flat[i + 2], flat[i + 3], flat[i + 4]
      end
      lines[#lines + 1], skus[#skus + 1] = line, line.sku
    end
    return lines, skus
  end

  -- What there is for each line, and the SKUs of which that is not known.
  local function look(run, lines, name, sums_revision)
    local could, stale = {}, {}
    for i, line in ipairs(lines) do
      local s = run.skus[line.sku] or load_sku(run, line.sku, name)
      if s[REVISION] ~= sums_revision then stale[#stale + 1] = line.sku end
      could[i] = name and at_location(s, name) or of_pool(s, line)
    end
    return could, stale
  end

  local function take(run, record, lines, granted, name)
    for i, line in ipairs(lines) do
      if granted[i] > 0 then
        local s = run.skus[line.sku]
        line.units = granted[i]
        touch(s, run)
        s.moved = true
        if name then
          holds.reserve(s, position_at(s, name), line, line.units)
        else
          s[HELD] = s[HELD] + line.units
        end
        record.lines[#record.lines + 1] = line
      end
    end
  end

  local function hold_one(run, request, sums_revision)
    local hold, fingerprint, expiry_ms, partial, by, location, shards, lines = unpack(request)
    local wanted, skus = lines_of(lines, location, sums_revision)
    local known = holds.of(run, hold)
    if known then
      if known.fingerprint ~= fingerprint then return { 'CONFLICT' } end
      return { 'HELD', known.expiry, units_of(known, skus) }
    end
    local how = call('GET', run.prefix .. 'ended:' .. hold)
    if how then return { 'ENDED', how } end
    local name = location ~= '' and 'l:' .. location
    local could, stale = look(run, wanted, name, sums_revision)
    if #stale > 0 then return { 'STALE', stale } end
    local granted = {}
    for i, line in ipairs(wanted) do
      if could[i] < line.units and partial == 0 then return { 'SHORT', could } end
      granted[i] = min(could[i], line.units)
    end
    local record = {
      hold = hold, fingerprint = fingerprint, expiry = expiry_ms, by = by, shards = shards, order = '', lines = {},
      made = true,
    }
    run.holds[hold] = record
    take(run, record, wanted, granted, name)
    return { 'HELD', expiry_ms, granted }
  end

  local function hold(keys, args)
    local now_us, revision, sums_revision, requests = unpack(cmsgpack.unpack(args[1]))
    local prefix = prefix_of(keys)
    local meta = meta_of(keys[1])
    if revision < meta.revision then return cmsgpack.pack({ 'REFUSED', meta.revision }) end
    take_over(keys[1], meta, revision)
    holds.sweep(prefix, now_us, meta.floor, SWEEP_MAX)
    local run, answers = holds.run_of(prefix, now_us, meta.floor, sums_revision), {}
    for i, request in ipairs(requests) do answers[i] = hold_one(run, request, sums_revision) end
    holds.write_all(run)
    return cmsgpack.pack({ 'OK', answers })
  end

  local function flat_lines(record)
    local flat = {}
    for _, line in ipairs(record.lines) do
      flat[#flat + 1], flat[#flat + 2], flat[#flat + 3] = line.sku, line.location or '', line.units
    end
    return flat
  end

  local function is_placed(prefix, order)
    local channel, number = string.match(order, '^(.-)\31(.*)$')
    return channel and call('HEXISTS', prefix .. 'order:' .. number, 'p:' .. channel) == 1
  end

  local function keep(keys, args)
    local now_us, hold, order, expiry_ms = unpack(cmsgpack.unpack(args[1]))
    local prefix = prefix_of(keys)
    local run = holds.run_of(prefix, now_us, 0, 0)
    local record = holds.of(run, hold)
    if not record then return cmsgpack.pack({ 'GONE', call('GET', prefix .. 'ended:' .. hold) or '' }) end
    if order ~= '' then
      if record.order ~= '' and record.order ~= order then return cmsgpack.pack({ 'PINNED', record.order }) end
      if is_placed(prefix, order) then return cmsgpack.pack({ 'PLACED' }) end
      record.order = order
    end
    record.expiry, record.changed = max(record.expiry, expiry_ms), true
    holds.write(run)
    return cmsgpack.pack({ 'KEPT', record.expiry, record.by, record.shards, flat_lines(record) })
  end

  local function release(keys, args)
    local now_us, items = unpack(cmsgpack.unpack(args[1]))
    local version_floor = tonumber(call('HGET', keys[1], 'floor') or 0)
    local run, answers = holds.run_of(prefix_of(keys), now_us, version_floor, 0), {}
    for i = 1, #items, 3 do
      local record, answer = holds.of(run, items[i]), ABSENT_HOLD
      if record and not record.how then
        answer = (record.order == '' or record.order == items[i + 1]) and WAS_RELEASED or IS_PINNED
        if answer == WAS_RELEASED then holds.finish(run, record, items[i + 2]) end
      end
      answers[#answers + 1] = answer
    end
    holds.write_all(run)
    return cmsgpack.pack(answers)
  end

  local function sweep(keys, args)
    local now_us, limit = unpack(cmsgpack.unpack(args[1]))
    return holds.sweep(prefix_of(keys), now_us, tonumber(call('HGET', keys[1], 'floor') or 0), limit)
  end

  local function list(keys, args)
    local cursor, limit, names = unpack(cmsgpack.unpack(args[1]))
    local run, found, following = holds.run_of(prefix_of(keys), 0, 0, 0), {}, 0
    if #names == 0 then
      names = call('ZRANGE', run.prefix .. 'holds', cursor, cursor + limit - 1)
      if #names == limit then following = cursor + limit end
    end
    for _, name in ipairs(names) do
      local record = holds.of(run, name)
      if record then
        found[#found + 1] = { name, record.expiry, record.by, record.shards, record.order, flat_lines(record) }
      end
    end
    return cmsgpack.pack({ following, found })
  end

  register('penstock_hold', hold)
  register('penstock_keep', keep)
  register('penstock_release', release)
  register('penstock_sweep', sweep)
  register('penstock_holds', list, { 'no-writes' })
end
