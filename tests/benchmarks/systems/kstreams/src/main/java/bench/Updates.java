package bench;

import java.nio.charset.StandardCharsets;

/** The message of a changed SKU. Written by hand: codes of SKUs want no escapes, and no writer of JSON is faster. */
final class Updates {
  private final String[] names;

  Updates(int channels) {
    names = new String[channels];
    for (int i = 0; i < channels; i++) {
      names[i] = (i == 0 ? "\"c" : ",\"c") + i + "\":";
    }
  }

  byte[] json(String sku, Position position) {
    long available = position.available();
    StringBuilder text = new StringBuilder(64 + 12 * names.length);
    text.append("{\"sku\":\"").append(sku);
    text.append("\",\"version\":").append(position.version);
    text.append(",\"available\":").append(available).append(",\"levels\":{");
    for (int i = 0; i < names.length; i++) {
      text.append(names[i]).append(Math.max(0, available - i));
    }
    return text.append("}}").toString().getBytes(StandardCharsets.UTF_8);
  }
}
