// A picture that can be enlarged (buttons, keys, wheel, double click) and then dragged.

const LARGEST = 6;

export class Zoom {
  constructor(view, picture) {
    this.view = view;
    this.picture = picture;
    view.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.by(event.deltaY < 0 ? 1.25 : 0.8, event);
    }, { passive: false });
    view.addEventListener("dblclick", (event) => (this.scale > 1 ? this.reset() : this.by(3, event)));
    view.addEventListener("pointerdown", (event) => {
      if (this.scale === 1) return;
      this.drag = event;
      view.setPointerCapture(event.pointerId);
    });
    view.addEventListener("pointermove", (event) => {
      if (!this.drag || event.pointerId !== this.drag.pointerId) return;
      this.x += event.clientX - this.drag.clientX;
      this.y += event.clientY - this.drag.clientY;
      this.drag = event;
      this.draw();
    });
    for (const end of ["pointerup", "pointercancel"]) view.addEventListener(end, () => (this.drag = null));
    this.reset();
  }

  reset() {
    this.scale = 1;
    this.x = this.y = 0;
    this.draw();
  }

  // enlarge by a factor; what lies under the pointer, or in the middle, stays where it is
  by(factor, pointer = null) {
    const box = this.view.getBoundingClientRect();
    const fromX = pointer ? pointer.clientX - box.left - box.width / 2 : 0;
    const fromY = pointer ? pointer.clientY - box.top - box.height / 2 : 0;
    const scale = Math.min(LARGEST, Math.max(1, this.scale * factor));
    this.x = fromX - ((fromX - this.x) * scale) / this.scale;
    this.y = fromY - ((fromY - this.y) * scale) / this.scale;
    this.scale = scale;
    this.draw();
  }

  draw() {
    const reach = ((this.scale - 1) * this.view.clientWidth) / 2;
    this.x = Math.min(reach, Math.max(-reach, this.x));
    this.y = Math.min(reach, Math.max(-reach, this.y));
    this.picture.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    this.view.classList.toggle("enlarged", this.scale > 1);
  }
}
