"use strict";
// One person, one batch: shows item after item, keeps every answer in this browser at once, exports a file. No network.
(() => {
  const campaign = JSON.parse(document.getElementById("campaign").textContent);
  const QUESTIONS = ["object", "unsafe", "background"];
  const ANSWERS = { y: "yes", n: "no", u: "unsure", 1: "yes", 2: "no", 3: "unsure" };
  const at = (id) => document.getElementById(id);
  const screens = ["start", "work", "done"];
  let worker = "";
  let begun = ""; // whose answers are held
  let order = []; // indices of items, in the order in which this person sees them
  let answers = []; // by position: {object, unsafe, background, seconds}
  let shownAt = 0; // when the clock of the present item was last started; 0 while the page is hidden
  let exported = true;
  let kept = true; // whether this browser stores answers
  let given = []; // [position, question] of the answers of this visit, for undo

  // The same person always gets the same order, and different people different ones, so that no item is always last.
  const hash = (text) => {
    let value = 2166136261;
    for (const sign of text) value = Math.imul(value ^ sign.codePointAt(0), 16777619);
    value = Math.imul(value ^ (value >>> 15), 2246822507);
    value = Math.imul(value ^ (value >>> 13), 3266489909);
    return ((value ^ (value >>> 16)) >>> 0) / 4294967296;
  };
  const arrange = () => {
    const first = new Map();
    const twice = new Set();
    campaign.items.forEach((item, number) => (first.has(item.item) ? twice.add(item.item) : first.set(item.item, number)));
    const weight = campaign.items.map((item, number) => {
      const drawn = hash(`${campaign.campaign} ${worker} ${number} ${item.item}`);
      if (!twice.has(item.item)) return drawn;
      return first.get(item.item) === number ? drawn / 2 : 2 / 3 + drawn / 3; // what is shown twice stands far apart
    });
    order = campaign.items.map((_, number) => number).sort((a, b) => weight[a] - weight[b]);
  };

  const complete = (given) => QUESTIONS.every((question) => given[question]);
  const place = () => {
    const open = answers.findIndex((given) => !complete(given));
    return open < 0 ? answers.length : open;
  };
  const storeName = () => `d3s ${campaign.campaign} ${campaign.batch} ${worker}`;
  // Answers are kept by item, so that those stay that are still asked when a page was made anew.
  const names = () => {
    const times = new Map();
    return order.map((number) => {
      const item = campaign.items[number].item;
      times.set(item, (times.get(item) || 0) + 1);
      return `${item} ${times.get(item)}`;
    });
  };
  const save = () => {
    exported = false;
    try {
      // What another tab, or an earlier form of this page, stored of other items stays.
      const all = { ...stored(), ...Object.fromEntries(names().map((name, number) => [name, answers[number]])) };
      const some = Object.entries(all).filter(([, said]) => QUESTIONS.some((question) => said[question]));
      localStorage.setItem(storeName(), JSON.stringify(Object.fromEntries(some)));
      kept = true;
    } catch {
      kept = false;
      warn("This browser keeps nothing for this page: export your answers before you close it.");
    }
  };
  const stored = () => {
    try {
      return JSON.parse(localStorage.getItem(storeName()) || "{}") || {};
    } catch {
      return {};
    }
  };
  const load = () => {
    const saved = stored();
    return names().map((name) => ({ ...saved[name] }));
  };
  const warn = (text) => {
    at("alert").textContent = text;
    at("alert").hidden = false;
  };
  const tell = (text) => {
    at("told").textContent = text;
    setTimeout(() => at("told").textContent === text && (at("told").textContent = ""), 4000);
  };
  const show = (name) => screens.forEach((screen) => (at(screen).hidden = screen !== name));

  // Only time during which the page is seen counts.
  const stopClock = () => {
    const now = place();
    if (shownAt && answers[now]) answers[now].seconds = (answers[now].seconds || 0) + (performance.now() - shownAt) / 1000;
    shownAt = 0;
  };
  const startClock = () => (shownAt = document.hidden || at("work").hidden ? 0 : performance.now());

  const draw = (moved) => {
    const now = place();
    at("undo").disabled = now === 0 && !QUESTIONS.some((question) => answers[0]?.[question]);
    if (now === answers.length) {
      show("done");
      at("thanks").focus();
      return;
    }
    show("work");
    const item = campaign.items[order[now]];
    const thing = campaign.classes[item.class];
    at("progress").value = now / answers.length;
    at("place").textContent = `${now + 1} of ${answers.length}`;
    const questions = {
      object: `Is this in the picture: ${thing.label}?`,
      unsafe: "Is there adult or violent content?",
      background: `Is the place “${campaign.backgrounds[item.background]}”?`,
    };
    if (moved) {
      at("picture").src = item.picture;
      at("name").textContent = thing.label;
      at("definition").textContent = thing.definition;
      at("examples").replaceChildren(
        ...thing.examples.map((source, number) => {
          const image = new Image();
          image.src = source;
          image.alt = `Example ${number + 1}`;
          return image;
        }),
      );
      const next = campaign.items[order[now + 1]];
      if (next) new Image().src = next.picture; // decoded by the time it is wanted
    }
    const current = QUESTIONS.find((question) => !answers[now][question]);
    for (const field of document.querySelectorAll("fieldset")) {
      const question = field.dataset.question;
      field.classList.toggle("current", question === current);
      field.querySelector("legend").textContent = questions[question];
      for (const input of field.querySelectorAll("input")) input.checked = input.value === answers[now][question];
    }
    if (moved) at("name").focus({ preventScroll: true });
    startClock();
  };

  const answer = (question, value) => {
    const now = place();
    if (now === answers.length) return;
    stopClock();
    answers[now][question] = value;
    given.push([now, question]);
    save();
    draw(place() !== now);
  };
  const undo = () => {
    stopClock();
    let [now, last] = given.pop() || [place(), ""];
    if (!last) { // nothing was answered in this visit: what the one before it answered last
      if (now === answers.length || !QUESTIONS.some((question) => answers[now][question])) now -= 1;
      if (now < 0) return startClock();
      last = QUESTIONS.filter((question) => answers[now][question]).pop();
    }
    delete answers[now][last];
    save();
    draw(true);
    tell("The last answer was taken back.");
  };

  const begin = () => {
    const name = at("worker").value.trim();
    if (!name) return;
    if (name !== begun) {
      worker = begun = name;
      arrange();
      answers = load();
      given = [];
    }
    draw(true);
  };
  const content = () => ({
    format: "d3s-annotations",
    version: 2,
    campaign: campaign.campaign,
    batch: campaign.batch,
    worker,
    votes: answers.flatMap((given, number) => {
      if (!complete(given)) return [];
      const { item, key } = campaign.items[order[number]];
      const seconds = Math.min(86400, Math.round((given.seconds || 0) * 100) / 100);
      return [{ item, key, object: given.object, unsafe: given.unsafe, background: given.background, seconds }];
    }),
  });
  const save_file = () => {
    const data = content();
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(data, null, 1)], { type: "application/json" }));
    // The file's name does not name the person, since it is repeated where votes can't be counted.
    const mark = [worker, `${worker} again`].map((text) => Math.floor(hash(text) * 0xffffffff).toString(16).padStart(8, "0"));
    link.download = `${campaign.campaign}-batch-${String(campaign.batch).padStart(4, "0")}-${mark.join("")}.json`;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    exported = true;
    const rest = answers.length - data.votes.length;
    tell(rest ? `${data.votes.length} answers exported; ${rest} pictures are left.` : "All answers exported. Hand in the file.");
  };

  for (const field of document.querySelectorAll("fieldset")) {
    for (const value of ["yes", "no", "unsure"]) {
      const label = document.createElement("label");
      const input = document.createElement("input");
      Object.assign(input, { type: "radio", name: field.dataset.question, value });
      label.append(input, value[0].toUpperCase() + value.slice(1));
      field.querySelector(".answers").append(label);
    }
    field.addEventListener("change", (event) => answer(field.dataset.question, event.target.value));
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.id === "worker") return;
    if (event.key === "Backspace" && at("start").hidden) {
      event.preventDefault();
      undo();
    } else if (event.key === "?" && at("keys").checked && !at("work").hidden) {
      stopClock();
      showStart();
    } else if (event.key.startsWith("Arrow") && event.target.type === "radio") {
      // Arrows move between answers without giving one; Space gives it. Or the last question could only be answered once.
      event.preventDefault();
      const group = [...event.target.closest(".answers").querySelectorAll("input")];
      const step = event.key === "ArrowRight" || event.key === "ArrowDown" ? 1 : group.length - 1;
      group[(group.indexOf(event.target) + step) % group.length].focus();
    } else if (at("keys").checked && !at("work").hidden && ANSWERS[event.key.toLowerCase()] && !event.repeat) {
      event.preventDefault();
      const now = answers[place()];
      answer(QUESTIONS.find((question) => !now[question]), ANSWERS[event.key.toLowerCase()]);
    }
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? stopClock() : startClock()));
  addEventListener("storage", (event) => {
    if (!begun || event.key !== storeName()) return;
    const before = place();
    stopClock();
    load().forEach((said, number) => (answers[number] = { ...said, ...answers[number] })); // answered in another tab
    if (!at("work").hidden) draw(place() !== before);
  });
  addEventListener("beforeunload", (event) => {
    if (!exported && (!kept || place() === answers.length)) event.preventDefault();
  });
  const showStart = () => {
    show("start");
    at("go").textContent = begun ? "Go on" : "Start";
    at(begun ? "go" : "worker").focus();
  };
  const greet = () => {
    worker = at("worker").value.trim();
    arrange();
    const full = worker ? (worker === begun ? answers : load()).filter(complete).length : 0;
    at("saved").textContent = full ? `${full} of ${campaign.items.length} are answered already; you go on from there.` : "";
    at("go").textContent = full ? "Go on" : "Start";
  };
  at("worker").addEventListener("input", greet);
  at("who").addEventListener("submit", (event) => (event.preventDefault(), begin()));
  at("undo").addEventListener("click", undo);
  at("back").addEventListener("click", undo);
  at("help").addEventListener("click", () => (stopClock(), showStart()));
  at("export").addEventListener("click", save_file);
  at("finish").addEventListener("click", save_file);
  at("count").textContent = campaign.items.length;
  showStart();
})();
