// Paths of lines on a canvas.

/** A path through every point; a point without neighbors becomes a dot. */
export class PlainPath {
  constructor(context) {
    this.context = context;
    this.count = 0;
  }

  add(x, y) {
    if (this.count++) this.context.lineTo(x, y);
    else this.context.moveTo(x, y);
    this.x = x;
    this.y = y;
  }

  end() {
    if (this.count === 1) this.context.fillRect(this.x - 2, this.y - 2, 4, 4);
    this.count = 0;
  }
}

/** A dot for each point. */
export class Dots {
  constructor(context) {
    this.context = context;
  }

  add(x, y) {
    this.context.moveTo(x + 2.5, y);
    this.context.arc(x, y, 2.5, 0, 7);
  }

  end() {}
}

/** A path for more points than pixels: of each column of pixels, it goes through the first, least, greatest and last. */
export class ColumnPath extends PlainPath {
  constructor(context) {
    super(context);
    this.column = null;
  }

  add(x, y) {
    const column = Math.round(x);
    if (column === this.column) {
      if (y < this.low) this.low = y;
      if (y > this.high) this.high = y;
      this.last = y;
      return;
    }
    this.flush();
    this.column = column;
    this.first = this.low = this.high = this.last = y;
  }

  flush() {
    if (this.column === null) return;
    super.add(this.column, this.first);
    if (this.low < this.first) super.add(this.column, this.low);
    if (this.high > this.low) super.add(this.column, this.high);
    if (this.last !== this.high) super.add(this.column, this.last);
    this.column = null;
  }

  end() {
    this.flush();
    super.end();
  }
}
