/** How <generation-progress> looks. Colours, corners and the font come from the page around it where that sets them. */

import { css } from "../vendor/lit-3.3.3/lit.js";

export const styles = css`
  :host {
    --_accent: var(--gp-accent, light-dark(#0b6b58, #4fd1b5));
    --_accent-soft: var(--gp-accent-soft, light-dark(#d7ece6, #16352f));
    --_on-accent: var(--gp-on-accent, light-dark(#fff, #08211b));
    --_ink: var(--gp-ink, light-dark(#1d2a33, #e6ecef));
    --_quiet: var(--gp-quiet, light-dark(#56646f, #9fb0bb));
    --_line: var(--gp-line, light-dark(#dfe5e8, #2c3942));
    --_surface: var(--gp-surface, light-dark(#f5f8f8, #161f25));
    --_bad: var(--gp-bad, light-dark(#b3261e, #ff9b92));
    --_bad-soft: var(--gp-bad-soft, light-dark(#fdecea, #3a1d1b));
    --_warm: var(--gp-warm, light-dark(#8a5300, #ffc069));
    --_radius: var(--gp-radius, 0.6rem);
    container-type: inline-size;
    display: block;
    color: var(--_ink);
    font-size: 1rem;
    line-height: 1.45;
    text-align: start;
  }
  :host([hidden]) {
    display: none;
  }
  * {
    box-sizing: border-box;
  }
  h2,
  h3,
  p,
  ol,
  ul {
    margin: 0;
    padding: 0;
  }
  ol,
  ul {
    list-style: none;
  }
  .unseen {
    position: absolute;
    width: 1px;
    height: 1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }

  .head {
    display: flex;
    align-items: baseline;
    gap: 1rem;
    justify-content: space-between;
  }
  h2 {
    font-size: 1.3rem;
    font-weight: 650;
    line-height: 1.25;
    overflow-wrap: anywhere;
  }
  .connection {
    align-items: center;
    color: var(--_quiet);
    display: inline-flex;
    flex: none;
    font-size: 0.8rem;
    gap: 0.4rem;
  }
  .dot {
    background: var(--_quiet);
    border-radius: 50%;
    flex: none;
    height: 0.6rem;
    width: 0.6rem;
  }
  .live .dot,
  .polling .dot {
    background: var(--_accent);
  }
  .polling .dot {
    background: none;
    border: 2px solid var(--_accent);
  }
  .reconnecting .dot,
  .connecting .dot {
    animation: breathe 1.2s ease-in-out infinite;
    background: var(--_warm);
  }
  .offline .dot,
  .refused .dot {
    background: var(--_bad);
  }

  .bar {
    background: var(--_accent-soft);
    border-radius: 999px;
    height: 0.7rem;
    margin-top: 1rem;
    overflow: hidden;
  }
  .fill {
    background: var(--_accent);
    border-radius: inherit;
    height: 100%;
    transform: translateX(-100%);
    transition: transform 0.5s cubic-bezier(0.2, 0.7, 0.3, 1);
  }
  section.failed .fill {
    background: var(--_bad);
  }
  section.cancelled .fill {
    background: var(--_quiet);
  }
  .facts {
    align-items: baseline;
    display: flex;
    gap: 0.75rem;
    justify-content: space-between;
    margin-top: 0.45rem;
  }
  .percent {
    flex: none;
    font-variant-numeric: tabular-nums;
    font-weight: 650;
  }
  .message {
    flex: 1;
    min-width: 0;
    overflow-wrap: anywhere;
  }
  .left {
    color: var(--_quiet);
    flex: none;
    font-size: 0.9rem;
    font-variant-numeric: tabular-nums;
  }
  .topic {
    color: var(--_quiet);
    font-size: 0.9rem;
    min-height: 1.45em;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }

  section:is(.failed, .cancelled) .topic:empty {
    display: none;
  }

  .body {
    display: grid;
    gap: 1.25rem;
    margin-top: 1rem;
  }
  @container (min-width: 38rem) {
    .body {
      grid-template-columns: minmax(13rem, 2fr) 3fr;
    }
  }
  .step {
    align-items: center;
    display: grid;
    gap: 0.65rem;
    grid-template-columns: 1.35rem 1fr auto;
    padding: 0.3rem 0;
  }
  .step.waiting {
    color: var(--_quiet);
  }
  .step.running {
    font-weight: 600;
  }
  .step .seconds {
    color: var(--_quiet);
    font-size: 0.8rem;
    font-variant-numeric: tabular-nums;
    font-weight: 400;
  }
  .mark {
    display: block;
    height: 1.35rem;
    width: 1.35rem;
  }
  .mark circle {
    fill: none;
    stroke: var(--_line);
    stroke-width: 2;
  }
  .mark path {
    fill: none;
    stroke-linecap: round;
    stroke-linejoin: round;
    stroke-width: 2.4;
  }
  .step.done .mark circle {
    fill: var(--_accent);
    stroke: var(--_accent);
  }
  .step.done .mark path {
    stroke: var(--_on-accent);
  }
  .step.failed .mark circle {
    fill: var(--_bad-soft);
    stroke: var(--_bad);
  }
  .step.failed .mark path {
    stroke: var(--_bad);
  }
  .step.running .mark circle {
    stroke: var(--_accent-soft);
  }
  .step.running .mark path {
    animation: turn 1s linear infinite;
    stroke: var(--_accent);
    transform-origin: center;
  }

  .preview {
    background: var(--_surface);
    border: 1px solid var(--_line);
    border-radius: var(--_radius);
    height: 15.5rem;
    overflow: auto;
    padding: 0.8rem 1rem;
    scrollbar-width: thin;
  }
  .preview h3 {
    color: var(--_quiet);
    font-size: 0.8rem;
    font-weight: 600;
    letter-spacing: 0.02em;
    margin-bottom: 0.4rem;
  }
  .preview .part {
    border-top: 1px solid var(--_line);
    font-size: 0.9rem;
    padding: 0.5rem 0;
  }
  .preview .part:first-of-type {
    border-top: 0;
    padding-top: 0;
  }
  .preview .name {
    font-weight: 600;
  }
  .preview .count {
    color: var(--_quiet);
    font-weight: 400;
  }
  .preview .line {
    color: var(--_quiet);
    overflow-wrap: anywhere;
  }
  .preview .writing {
    color: var(--_ink);
    white-space: pre-line;
  }
  .preview .writing::after {
    animation: breathe 0.9s steps(2) infinite;
    background: var(--_accent);
    content: "";
    display: inline-block;
    height: 1em;
    margin-inline-start: 0.15em;
    vertical-align: text-bottom;
    width: 0.45em;
  }
  .empty {
    align-content: center;
    color: var(--_quiet);
    display: grid;
    height: 100%;
    justify-items: center;
    text-align: center;
  }

  .note {
    border-radius: var(--_radius);
    margin-top: 1rem;
    overflow-wrap: anywhere;
    padding: 0.75rem 1rem;
  }
  .note.bad {
    background: var(--_bad-soft);
    border: 1px solid var(--_bad);
  }
  .note.quiet {
    background: var(--_surface);
    border: 1px solid var(--_line);
  }
  .note strong {
    display: block;
  }
  .note ul {
    font-size: 0.9rem;
    margin-top: 0.4rem;
  }
  .note code {
    color: var(--_quiet);
    font-size: 0.85em;
  }
  .actions {
    align-items: center;
    display: flex;
    flex-wrap: wrap;
    gap: 0.6rem;
    margin-top: 1rem;
    min-height: 2.6rem;
  }
  .actions .words {
    flex: 1 1 14rem;
  }
  button,
  .button {
    background: none;
    border: 1px solid var(--_line);
    border-radius: var(--_radius);
    color: var(--_ink);
    cursor: pointer;
    display: inline-block;
    font: inherit;
    font-weight: 550;
    padding: 0.5rem 1rem;
    text-decoration: none;
  }
  button:hover,
  .button:hover {
    border-color: var(--_quiet);
  }
  button.main,
  .button.main {
    background: var(--_accent);
    border-color: var(--_accent);
    color: var(--_on-accent);
  }
  button.main:hover,
  .button.main:hover {
    filter: brightness(1.08);
  }
  button.grave {
    border-color: var(--_bad);
    color: var(--_bad);
  }
  button:disabled {
    cursor: default;
    opacity: 0.6;
  }
  :focus-visible {
    outline: 3px solid var(--_accent);
    outline-offset: 2px;
  }

  @keyframes turn {
    to {
      transform: rotate(360deg);
    }
  }
  @keyframes breathe {
    50% {
      opacity: 0.25;
    }
  }
  @media (prefers-reduced-motion: reduce) {
    * {
      animation-duration: 3s !important;
      transition: none !important;
    }
  }
`;
