-- recover: after a rollback (a failover, a cut append-only file) nothing emitted before may be trusted.
--
-- KEYS[1]  {s}:meta
-- ARGV[1]  [now_us, server, begin, skew_ms, chunk]
--            begin 1 starts a recovery, 2 its repetition a minute later, 0 goes on with the one under way; 3 only ends
--                  all trust, so that everything is emitted once more
-- Returns  msgpack of ["OK", done, generation]; done: 0 while SKUs are left to be made due: call again with begin 0
--
-- Atomic because the new generation, which voids every claim and every trust at once, the version floor
-- above all that a clock within the skew can have given out, and the cursor belong together. Making all
-- SKUs due is done in chunks; the shard keeps the cursor, so any caller can go on with it.

local BEGIN, RESYNC, AGAIN_MS -- from state/protocol/control.py

local function recover(keys, args)
  local now_us, server, begin, skew_ms, chunk = unpack(cmsgpack.unpack(args[1]))
  local prefix = prefix_of(keys)
  local meta = meta_of(keys[1])
  local now_ms = floor(now_us / 1000)
  call('ZCARD', prefix .. 'due')
  if begin == RESYNC then
    meta.generation = next_version(meta.generation, now_us, 0)
    meta.cursor = '0'
    call('HSET', keys[1], 'generation', meta.generation, 'cursor', '0')
  elseif begin > 0 then
    meta.generation = next_version(meta.generation, now_us, 0)
    meta.floor = max(meta.floor, now_us + 2000 * skew_ms)
    meta.cursor = '0'
    local again = (begin == BEGIN) and now_ms + AGAIN_MS or 0
    call('HSET', keys[1], 'generation', meta.generation, 'floor', meta.floor, 'server', server, 'cursor', '0',
      'again', again, 'recovered', '1')
  end
  if meta.cursor == '' then return cmsgpack.pack({ 'OK', 1, meta.generation }) end
  local found = call('ZSCAN', prefix .. 'due', meta.cursor, 'COUNT', chunk)
  local skus = {}
  for i = 1, #found[2], 2 do skus[#skus + 1] = found[2][i] end
  leased_queue.make_due(prefix .. 'due', now_ms, skus)
  local done = 0
  if found[1] == '0' then
    call('HDEL', keys[1], 'cursor')
    done = 1
  else
    call('HSET', keys[1], 'cursor', found[1])
  end
  return cmsgpack.pack({ 'OK', done, meta.generation })
end

register('penstock_recover', recover)
