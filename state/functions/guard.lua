-- The duplicate guard, and which events of a call are to run.
--
-- `seen:<slice>` is a set of the hashes of events, one set per slice of the log timestamp. Looked up are
-- the slices -1, 0 and +1: a resend may carry another `time`, never another log time. The order that an
-- event belongs to remembers it for as long as the order lives, which is longer.

-- Which of the hashes are in a set: 0 or 1 for each.
local function members(key, hashes)
  if #hashes <= WIDE then return call('SMISMEMBER', key, unpack(hashes)) end
  local found = {}
  for i = 1, #hashes, WIDE do
    for _, known in ipairs(call('SMISMEMBER', key, unpack(hashes, i, min(i + WIDE - 1, #hashes)))) do
      found[#found + 1] = known
    end
  end
  return found
end

-- What is known of the hashes of each slice of the call. `at` is the last one taken, `dropped` holds those not to
-- be added, `added` the hashes added so far where the call repeats some.
local function guard_of(prefix, slices, repeats)
  local guard = {}
  for i = 1, #slices, 2 do
    local slice, hashes = slices[i], slices[i + 1]
    local known = members(prefix .. 'seen:' .. int(slice), hashes)
    for near = slice - 1, slice + 1, 2 do
      local key = prefix .. 'seen:' .. int(near)
      if call('EXISTS', key) == 1 then
        for k, found in ipairs(members(key, hashes)) do
          if found == 1 then known[k] = 1 end
        end
      end
    end
    guard[slice] = { hashes = hashes, known = known, at = 0, dropped = false, added = repeats and {} }
  end
  return guard
end

local function drop(group, at)
  group.dropped = group.dropped or {}
  group.dropped[at] = true
end

-- Whether this call has added the hash already; from now on it has.
local function added_before(guard, slice, hash)
  local before, after, added = guard[slice - 1], guard[slice + 1], guard[slice].added
  if added[hash] or (before and before.added[hash]) or (after and after.added[hash]) then return true end
  added[hash] = true
  return false
end

-- Whether the next event of the slice is known, to the guard or to its order; from now on it is.
local function is_known(run, group, slice, order)
  local at = group.at
  local hash = group.hashes[at]
  run.hash = hash
  if group.known[at] == 1 or (group.added and added_before(run.guard, slice, hash)) then
    drop(group, at)
    return true
  end
  return order ~= '' and known_to_order(order_of(run, order), hash)
end

local function write_guard(prefix, guard, guard_ms)
  for slice, group in pairs(guard) do
    local list = group.hashes
    if group.dropped then
      list = {}
      for at, hash in ipairs(group.hashes) do
        if not group.dropped[at] then list[#list + 1] = hash end
      end
    end
    if #list > 0 then
      local key = prefix .. 'seen:' .. int(slice)
      wide('SADD', key, list)
      call('PEXPIRE', key, guard_ms)
    end
  end
end
