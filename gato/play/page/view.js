// The body, drawn from the shapes of its own model and streamed poses. MuJoCo's axes: z is up, quaternions w first.

import * as THREE from "./three.module.min.js";

const BEHIND = 0.06; // s that the picture stays behind the newest pose, so that there is always a next one
const JUMP = 0.5; // s off, beyond which the picture jumps instead of catching up
const ENDLESS = 10; // m: a plane of that half-size is a floor, drawn as far as one sees
const SLOW = 0.045; // s a picture: slower than that, shadows go
const JUDGED = 40; // pictures after which that is decided
const ARROW = 0.5; // s for which a push is shown

export class View {
  // Throws where the browser has no WebGL.
  constructor(holder) {
    this.holder = holder;
    this.renderer = new THREE.WebGLRenderer({ antialias: true });
    this.renderer.shadowMap.enabled = true;
    this.canvas = this.renderer.domElement;
    holder.append(this.canvas);
    this.scene = new THREE.Scene();
    this.camera = new THREE.PerspectiveCamera(38, 1, 0.01, 400);
    this.camera.up.set(0, 0, 1);
    this.look = { azimuth: -1.15, elevation: 0.3, away: 1 };
    this.target = new THREE.Vector3();
    this.sky = new THREE.HemisphereLight(0xffffff, 0x888888, 1.6);
    this.sun = new THREE.DirectionalLight(0xffffff, 2.2);
    this.sun.castShadow = true;
    this.sun.shadow.mapSize.set(1024, 1024);
    this.sun.shadow.normalBias = 0.02;
    this.scene.add(this.sky, this.sun, this.sun.target);
    this.parts = [];
    this.moments = [];
    this.pictures = 0;
    this.#listen();
    new ResizeObserver(() => this.#resize()).observe(holder);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#paint());
  }

  // Another model, as gato/play/scene.py writes it.
  show(scene) {
    if (this.world) this.#forget();
    this.world = new THREE.Group();
    this.parts = Array.from({ length: scene.parts }, () => new THREE.Group());
    this.world.add(...this.parts);
    this.trunk = scene.trunk;
    this.radius = scene.radius;
    this.look.away = 1;
    this.moments = [];
    this.isPlaced = false;
    this.clock = undefined;
    const geometries = scene.meshes.map(mesh), textures = scene.textures.map(texture);
    for (const geom of scene.geoms) {
      const solid = geom.shape === "plane" ? this.#plane(geom) : body(geom, geometries, textures);
      place(solid, geom.place, geom.turn);
      (geom.part < 0 ? this.world : this.parts[geom.part]).add(solid);
    }
    this.scene.add(this.world);
    this.#paint();
  }

  // Poses (T, N, 7) of a control step of dt s that ends at that time.
  add(time, count, poses, dt) {
    const size = this.parts.length * 7;
    if (poses.length !== count * size) return;
    if (this.moments.length && time <= this.moments.at(-1).time) {
      this.moments = [];
      this.clock = undefined;
      this.isPlaced = false;
    }
    for (let i = 0; i < count; i++) {
      this.moments.push({ time: time - (dt * (count - 1 - i)) / count, pose: poses.subarray(i * size, (i + 1) * size) });
    }
    this.spacing = Math.max(dt, 1 / 60);
    if (this.moments.length > 300) this.moments.splice(0, this.moments.length - 300);
  }

  pushed([x, y]) {
    if (!this.parts.length) return;
    this.arrow?.removeFromParent();
    const from = this.parts[this.trunk].position.clone().addScaledVector(new THREE.Vector3(x, y, 0), -1.5 * this.radius);
    const colour = getComputedStyle(document.documentElement).getPropertyValue("--accent").trim();
    this.arrow = new THREE.ArrowHelper(new THREE.Vector3(x, y, 0), from, 1.2 * this.radius, colour, 0.25 * this.radius, 0.14 * this.radius);
    this.arrowUntil = performance.now() + 1000 * ARROW;
    this.scene.add(this.arrow);
  }

  // One picture, `seconds` after the last.
  draw(seconds) {
    if (!this.world) return;
    this.#pose(seconds);
    this.#follow(seconds);
    if (this.arrow && performance.now() > this.arrowUntil) {
      this.arrow.removeFromParent();
      this.arrow = null;
    }
    this.renderer.render(this.scene, this.camera);
    this.pictures += 1;
    this.slowness = (this.slowness ?? 0) * 0.9 + seconds * 0.1;
    if (this.pictures === JUDGED && this.slowness > SLOW) {
      this.sun.castShadow = false;
      this.renderer.setPixelRatio(1);
    }
  }

  #pose(seconds) {
    const moments = this.moments;
    if (!moments.length) return;
    const wanted = moments.at(-1).time - BEHIND - this.spacing;
    this.clock = this.clock === undefined || Math.abs(wanted - this.clock) > JUMP ? wanted : this.clock + seconds;
    this.clock += (wanted - this.clock) * 0.05;
    let next = moments.findIndex((moment) => moment.time > this.clock);
    if (next < 0) next = moments.length - 1;
    if (next > 1) next -= moments.splice(0, next - 1).length;
    const after = moments[next], before = moments[Math.max(next - 1, 0)];
    const span = after.time - before.time;
    const share = span > 0 ? Math.min(Math.max((this.clock - before.time) / span, 0), 1) : 1;
    this.parts.forEach((part, index) => {
      const [a, b] = [before.pose, after.pose], i = 7 * index;
      part.position.set(a[i], a[i + 1], a[i + 2]).lerp(scratch.set(b[i], b[i + 1], b[i + 2]), share);
      part.quaternion.set(a[i + 4], a[i + 5], a[i + 6], a[i + 3]);
      part.quaternion.slerp(turned.set(b[i + 4], b[i + 5], b[i + 6], b[i + 3]), share);
    });
  }

  #follow(seconds) {
    if (!this.parts.length) return;
    const trunk = this.parts[this.trunk].position;
    if (!this.isPlaced && this.moments.length) {
      this.target.copy(trunk);
      this.isPlaced = true;
    }
    const near = 1 - Math.exp(-6 * seconds), level = 1 - Math.exp(-1.5 * seconds);
    this.target.x += (trunk.x - this.target.x) * near;
    this.target.y += (trunk.y - this.target.y) * near;
    this.target.z += (trunk.z - this.target.z) * level;
    const { azimuth, elevation, away } = this.look;
    const narrow = Math.max(1, 1.25 / this.camera.aspect);
    const far = Math.max(3.4 * this.radius * away * narrow, 0.2);
    this.camera.position.set(Math.cos(elevation) * Math.cos(azimuth), Math.cos(elevation) * Math.sin(azimuth), Math.sin(elevation));
    this.camera.position.multiplyScalar(far).add(this.target);
    this.camera.lookAt(this.target);
    this.sun.target.position.copy(this.target);
    this.sun.position.copy(this.target).add(scratch.set(0.5, -0.7, 1.6).multiplyScalar(3 * this.radius));
    if (this.floor) {
      const two = 2 * this.square;
      this.floor.position.x = Math.round(this.target.x / two) * two;
      this.floor.position.y = Math.round(this.target.y / two) * two;
    }
  }

  #plane(geom) {
    const [x, y] = geom.size, isEndless = Math.min(x || Infinity, y || Infinity) >= ENDLESS;
    const square = 10 ** Math.round(Math.log10(this.radius)), across = isEndless ? 240 * square : 0;
    const [width, depth] = isEndless ? [across, across] : [2 * x, 2 * y];
    const ground = new THREE.Mesh(new THREE.PlaneGeometry(width, depth), new THREE.MeshStandardMaterial({ roughness: 1 }));
    ground.userData.squares = [width / (2 * square), depth / (2 * square)];
    ground.receiveShadow = true;
    const holder = new THREE.Group();
    holder.add(ground);
    if (isEndless) [this.floor, this.square] = [ground, square];
    return holder;
  }

  #paint() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => new THREE.Color(style.getPropertyValue(name).trim());
    this.scene.background = colour("--sky");
    this.scene.fog = new THREE.Fog(colour("--sky"), 9 * this.radius, 34 * this.radius);
    this.sky.color = colour("--glow");
    this.sky.groundColor = colour("--shade");
    const reach = 2.2 * this.radius;
    Object.assign(this.sun.shadow.camera, { left: -reach, right: reach, top: reach, bottom: -reach, near: 0.1 * this.radius, far: 12 * this.radius });
    this.sun.shadow.camera.updateProjectionMatrix();
    this.world?.traverse((one) => {
      if (!one.userData.squares) return;
      one.material.map?.dispose();
      one.material.map = checker(style.getPropertyValue("--square-a"), style.getPropertyValue("--square-b"), one.userData.squares);
      one.material.needsUpdate = true;
    });
  }

  #forget() {
    this.floor = null;
    this.scene.remove(this.world);
    this.world.traverse((one) => {
      one.geometry?.dispose();
      one.material?.map?.dispose();
      one.material?.dispose();
    });
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.holder;
    if (!width || !height) return;
    this.renderer.setPixelRatio(Math.min(devicePixelRatio || 1, 2));
    this.renderer.setSize(width, height, false);
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
  }

  #listen() {
    const held = new Map();
    const release = (event) => held.delete(event.pointerId);
    this.canvas.addEventListener("pointerdown", (event) => {
      held.set(event.pointerId, event);
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      const before = held.get(event.pointerId);
      if (!before) return;
      const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
      if (held.size === 1) {
        this.look.azimuth -= dx * 0.008;
        this.look.elevation = Math.min(Math.max(this.look.elevation + dy * 0.006, 0.03), 1.5);
      } else {
        const other = [...held.values()].find((one) => one.pointerId !== event.pointerId);
        const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) || 1;
        this.#zoom(apart(before) / apart(event));
      }
      held.set(event.pointerId, event);
    });
    for (const name of ["pointerup", "pointercancel"]) this.canvas.addEventListener(name, release);
    this.canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.#zoom(Math.exp(event.deltaY * 0.001));
    }, { passive: false });
  }

  #zoom(times) {
    this.look.away = Math.min(Math.max(this.look.away * times, 0.3), 6);
  }
}

const scratch = new THREE.Vector3(), turned = new THREE.Quaternion();

function place(solid, [x, y, z], [w, i, j, k]) {
  solid.position.set(x, y, z);
  solid.quaternion.set(i, j, k, w);
}

function body(geom, geometries, textures) {
  const [red, green, blue, alpha] = geom.colour;
  const map = geom.texture === null ? null : textures[geom.texture];
  const colour = new THREE.Color().setRGB(red, green, blue, THREE.SRGBColorSpace);
  const material = new THREE.MeshStandardMaterial({ color: colour, map, roughness: 0.65, transparent: alpha < 1, opacity: alpha });
  const solid = new THREE.Mesh(geom.shape === "mesh" ? geometries[geom.mesh] : shape(geom), material);
  if (geom.shape === "ellipsoid") {
    const holder = new THREE.Group();
    solid.scale.set(...geom.size);
    holder.add(solid);
    solid.castShadow = solid.receiveShadow = true;
    return holder;
  }
  solid.castShadow = solid.receiveShadow = true;
  return solid;
}

// MuJoCo's sizes are radii and half-lengths, along z.
function shape({ shape: kind, size: [a, b, c] }) {
  if (kind === "sphere") return new THREE.SphereGeometry(a, 40, 24);
  if (kind === "ellipsoid") return new THREE.SphereGeometry(1, 40, 24);
  if (kind === "box") return new THREE.BoxGeometry(2 * a, 2 * b, 2 * c);
  if (kind === "capsule") return new THREE.CapsuleGeometry(a, 2 * b, 12, 28).rotateX(Math.PI / 2);
  return new THREE.CylinderGeometry(a, a, 2 * b, 40).rotateX(Math.PI / 2);
}

function mesh({ points, normals, uv }) {
  const made = new THREE.BufferGeometry();
  made.setAttribute("position", new THREE.BufferAttribute(floats(points), 3));
  made.setAttribute("normal", new THREE.BufferAttribute(floats(normals), 3));
  if (uv) made.setAttribute("uv", new THREE.BufferAttribute(floats(uv), 2));
  return made;
}

function texture({ width, height, pixels }) {
  const made = new THREE.DataTexture(bytes(pixels), width, height);
  made.colorSpace = THREE.SRGBColorSpace;
  made.wrapS = made.wrapT = THREE.RepeatWrapping;
  made.magFilter = THREE.LinearFilter;
  made.minFilter = THREE.LinearMipmapLinearFilter;
  made.generateMipmaps = made.needsUpdate = true;
  return made;
}

function checker(first, second, [across, along]) {
  const canvas = document.createElement("canvas"), context = canvas.getContext("2d");
  canvas.width = canvas.height = 64;
  context.fillStyle = first;
  context.fillRect(0, 0, 64, 64);
  context.fillStyle = second;
  context.fillRect(0, 0, 32, 32);
  context.fillRect(32, 32, 32, 32);
  const made = new THREE.CanvasTexture(canvas);
  made.wrapS = made.wrapT = THREE.RepeatWrapping;
  made.magFilter = THREE.NearestFilter;
  made.anisotropy = 8;
  made.colorSpace = THREE.SRGBColorSpace;
  made.repeat.set(across, along);
  return made;
}

function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

function floats(text) {
  return new Float32Array(bytes(text).buffer);
}
