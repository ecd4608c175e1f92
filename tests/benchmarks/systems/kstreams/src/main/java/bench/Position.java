package bench;

import java.nio.ByteBuffer;
import java.util.Arrays;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serializer;

/** What is on hand of a SKU, by location. The aggregate: read from the store, changed, and written back. */
final class Position {
  long version;
  private int count;
  private byte[][] locations;
  private long[] onHand;

  Position() {
    this(0, 0);
  }

  private Position(long version, int count) {
    this.version = version;
    this.count = count;
    locations = new byte[Math.max(4, count + 1)][];
    onHand = new long[locations.length];
  }

  Position moved(Movement movement) {
    version++;
    for (int i = 0; i < count; i++) {
      if (Arrays.equals(locations[i], movement.location())) {
        onHand[i] += movement.quantity();
        return this;
      }
    }
    if (count == locations.length) {
      locations = Arrays.copyOf(locations, 2 * count);
      onHand = Arrays.copyOf(onHand, 2 * count);
    }
    locations[count] = movement.location();
    onHand[count++] = movement.quantity();
    return this;
  }

  long available() {
    long sum = 0;
    for (int i = 0; i < count; i++) {
      sum += Math.max(0, onHand[i]);
    }
    return sum;
  }

  long total() {
    long sum = 0;
    for (int i = 0; i < count; i++) {
      sum += onHand[i];
    }
    return sum;
  }

  /** Version, number of locations; for each its name after its length, and what is there. */
  static final class Form implements Serde<Position> {
    @Override
    public Serializer<Position> serializer() {
      return (topic, position) -> position == null ? null : position.bytes();
    }

    @Override
    public Deserializer<Position> deserializer() {
      return (topic, bytes) -> bytes == null ? null : from(ByteBuffer.wrap(bytes));
    }
  }

  private byte[] bytes() {
    int length = 8 + 4;
    for (int i = 0; i < count; i++) {
      length += 2 + locations[i].length + 8;
    }
    ByteBuffer buffer = ByteBuffer.allocate(length).putLong(version).putInt(count);
    for (int i = 0; i < count; i++) {
      buffer.putShort((short) locations[i].length).put(locations[i]).putLong(onHand[i]);
    }
    return buffer.array();
  }

  private static Position from(ByteBuffer buffer) {
    Position made = new Position(buffer.getLong(), buffer.getInt());
    for (int i = 0; i < made.count; i++) {
      byte[] name = new byte[buffer.getShort()];
      buffer.get(name);
      made.locations[i] = name;
      made.onHand[i] = buffer.getLong();
    }
    return made;
  }
}
