package bench;

import java.nio.ByteBuffer;
import java.util.Arrays;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serializer;

/** So many more, or fewer, of a SKU at a location. On the wire: 4 bytes of quantity, then the location. */
record Movement(byte[] location, int quantity) {

  static final class Form implements Serde<Movement> {
    @Override
    public Serializer<Movement> serializer() {
      return (topic, movement) ->
          ByteBuffer.allocate(4 + movement.location.length)
              .putInt(movement.quantity)
              .put(movement.location)
              .array();
    }

    @Override
    public Deserializer<Movement> deserializer() {
      return (topic, bytes) ->
          new Movement(Arrays.copyOfRange(bytes, 4, bytes.length), ByteBuffer.wrap(bytes).getInt());
    }
  }
}
