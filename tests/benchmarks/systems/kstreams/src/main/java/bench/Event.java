package bench;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;

/** What is needed of a CloudEvent, in structured or binary mode. Made once, and filled anew for each record. */
final class Event {
  private static final JsonFactory JSON = new JsonFactory();

  String id;
  String source;
  String type;
  byte[] location;
  int lines;
  String[] skus = new String[16];
  int[] quantities = new int[16];

  void read(byte[] value, Headers headers) throws IOException {
    lines = 0;
    try (JsonParser parser = JSON.createParser(value)) {
      parser.nextToken();
      Header type = headers.lastHeader("ce_type");
      if (type == null) {
        readEnvelope(parser);
      } else {
        this.type = text(type);
        id = text(headers.lastHeader("ce_id"));
        source = text(headers.lastHeader("ce_source"));
        readData(parser);
      }
    }
  }

  /** The sign of its quantities: sales take, receipts bring. */
  int sign() {
    return switch (type) {
      case "pos.sale" -> -1;
      case "wms.receipt" -> 1;
      default -> throw new IllegalArgumentException("type: " + type);
    };
  }

  /** 64 bits of source and id, by which it is known again. */
  long identity() {
    long hash = 0xcbf29ce484222325L;
    for (int i = 0; i < source.length(); i++) {
      hash = (hash ^ source.charAt(i)) * 0x100000001b3L;
    }
    hash = (hash ^ 0xffff) * 0x100000001b3L;
    for (int i = 0; i < id.length(); i++) {
      hash = (hash ^ id.charAt(i)) * 0x100000001b3L;
    }
    hash = (hash ^ (hash >>> 33)) * 0xff51afd7ed558ccdL;
    return hash ^ (hash >>> 33);
  }

  private void readEnvelope(JsonParser parser) throws IOException {
    String field;
    while ((field = parser.nextFieldName()) != null) {
      JsonToken token = parser.nextToken();
      switch (field) {
        case "id" -> id = parser.getText();
        case "source" -> source = parser.getText();
        case "type" -> type = parser.getText();
        case "data" -> readData(parser);
        default -> skip(parser, token);
      }
    }
  }

  private void readData(JsonParser parser) throws IOException {
    String field;
    while ((field = parser.nextFieldName()) != null) {
      JsonToken token = parser.nextToken();
      switch (field) {
        case "location" -> location = parser.getText().getBytes(StandardCharsets.UTF_8);
        case "lines" -> readLines(parser);
        default -> skip(parser, token);
      }
    }
  }

  private void readLines(JsonParser parser) throws IOException {
    while (parser.nextToken() == JsonToken.START_OBJECT) {
      if (lines == skus.length) {
        skus = Arrays.copyOf(skus, 2 * lines);
        quantities = Arrays.copyOf(quantities, 2 * lines);
      }
      String field;
      while ((field = parser.nextFieldName()) != null) {
        JsonToken token = parser.nextToken();
        switch (field) {
          case "sku" -> skus[lines] = parser.getText();
          case "quantity" -> quantities[lines] = parser.getIntValue();
          default -> skip(parser, token);
        }
      }
      lines++;
    }
  }

  private static void skip(JsonParser parser, JsonToken token) throws IOException {
    if (token.isStructStart()) {
      parser.skipChildren();
    }
  }

  private static String text(Header header) {
    return new String(header.value(), StandardCharsets.UTF_8);
  }
}
