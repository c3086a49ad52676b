// Numbers, times and ticks as the page writes them. The script of the page is these files, one after the other.
function number(value) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "inf" : "-inf";
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return String(value);
  const size = Math.abs(value);
  return size >= 1e6 || size < 1e-4 ? value.toExponential(3) : String(Number(value.toPrecision(5)));
}
function exact(value) { // every digit: what is parsed from this is the same number
  if (typeof value !== "number" || !Number.isFinite(value)) return typeof value === "number" ? number(value) : String(value);
  return Number.isInteger(value) && Math.abs(value) >= 2 ** 53 && Math.abs(value) < 1e21 ? String(BigInt(value)) : String(value);
}
const two = (value, width = 2) => String(value).padStart(width, "0");
function dateOf(seconds) {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return null;
  return {
    day: `${two(date.getFullYear(), 4)}-${two(date.getMonth() + 1)}-${two(date.getDate())}`,
    clock: `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`,
    fraction: `.${two(date.getMilliseconds(), 3)}`,
  };
}
function moment(seconds, withFraction = false) {
  const date = dateOf(seconds);
  return date ? `${date.day} ${date.clock}${withFraction ? date.fraction : ""}` : "unknown";
}
function wallTick(seconds, span) { // as much of the time as it takes to tell the ticks apart
  const date = dateOf(seconds);
  if (!date) return "";
  if (span > 3 * 86400) return date.day;
  if (span > 86400) return `${date.day.slice(5)} ${date.clock.slice(0, 5)}`;
  return span < 10 ? date.clock + date.fraction : date.clock;
}
function ticks(low, high, count) { // halved: the span of two huge values may be infinite
  const half = high / 2 - low / 2, rough = (half / count) * 2;
  if (!(rough > 0) || !Number.isFinite(rough)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough)) || Number.MIN_VALUE;
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((one) => one >= rough) || 10 * power;
  const found = [], end = Math.min(Number.MAX_VALUE, high + step * 1e-9);
  for (let at = Math.ceil(low / step); at * step <= end && found.length < 50; at += 1) {
    const tick = Number((at * step).toPrecision(15));
    if (found.length && tick === found[found.length - 1]) break;
    found.push(tick);
  }
  return found.length ? found : [low];
}
function tickTexts(values) { // as many digits as it takes to tell them apart
  const apart = values.length > 1 ? Math.min(...values.slice(1).map((value, at) => value - values[at])) : 0;
  const texts = values.map(number);
  if (!(apart > 0) || values.every((value, at) => Math.abs(Number(texts[at]) - value) <= apart / 20)) return texts;
  const top = Math.max(...values.map(Math.abs)), unit = Math.floor(Math.log10(apart));
  if (top >= 1e-4 && top < 1e15 && unit >= -17) return values.map((value) => value.toFixed(Math.max(0, -unit)));
  const digits = Math.min(16, Math.max(0, Math.floor(Math.log10(top)) - unit));
  return values.map((value) => value.toExponential(digits));
}
function logTicks(low, high) { // the ticks of a logarithmic axis between two values: their powers of ten, and texts
  const first = Math.log10(low), last = Math.log10(high), span = last - first;
  if (span < 1) {
    const values = ticks(low, high, 4);
    return { places: values.map(Math.log10), texts: tickTexts(values) };
  }
  const places = [];
  const stride = [1, 2, 5, 10, 20, 50, 100, 200].find((one) => span / one <= 5);
  for (let power = Math.floor(first / stride) * stride; power <= last; power += stride) {
    for (const factor of span < 2.5 ? [1, 2, 5] : [1]) places.push(power + Math.log10(factor));
  }
  const inside = places.filter((place) => place >= first && place <= last);
  const text = (place) => (Math.abs(place) < 5 ? number(Number((10 ** place).toPrecision(3))) : Number.isInteger(place) ? `1e${place}` : number(10 ** place));
  return { places: inside, texts: inside.map(text) };
}
