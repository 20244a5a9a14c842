/** Ask for a course about a subject. */

import { Asking, held, onSend } from "./form.js";
import { showJob } from "./job-dialog.js";

const form = document.getElementById("from-subject");
const asking = new Asking();

onSend(form, async () => {
  const payload = held(form);
  const { jobId, streamUrl } = await asking.start({ jobType: "course", payload });
  showJob({ jobId, streamUrl, heading: payload.title ?? payload.subject });
});
