// Types of what the server sends and of what views are made of, for the type checker. Nothing here runs.

/**
 * @typedef {object} DetectedEvent  One label in one frame, as `/events` gives it.
 * @property {string} id
 * @property {string} stream
 * @property {string} run
 * @property {number} frame
 * @property {number} time_us
 * @property {string} label
 * @property {number} confidence
 * @property {string} model
 * @property {number} partition
 * @property {number} offset
 * @property {string | null} file
 * @property {[number, number, number, number] | null} boundingbox  left, top, width, height
 * @property {[number, number][]} landmarks
 * @property {{ label: string, score?: number, confidence: number }[]} scores
 * @property {string} crop_url
 * @property {string} frame_url
 *
 * @typedef {object} Episode
 * @property {string} stream
 * @property {string} label
 * @property {number} start_us
 * @property {number} end_us
 * @property {number} seconds
 *
 * @typedef {object} Alert
 * @property {string} id
 * @property {string} stream
 * @property {string} label
 * @property {string} rule
 * @property {string} text
 * @property {number} start_us
 * @property {number} since_us
 * @property {number | null} until_us  null while it is ongoing
 * @property {"waiting" | "sent" | "failed" | null} webhook
 * @property {number} attempts
 * @property {string | null} error
 *
 * @typedef {object} Upload
 * @property {string} id
 * @property {string} title
 * @property {string} state
 * @property {string | null} error
 * @property {number} sent
 * @property {number} classified
 * @property {number | null} total
 * @property {number} time_us
 *
 * @typedef {object} StreamStatus
 * @property {string} stream
 * @property {boolean} ended
 * @property {number} frame
 * @property {number} time_us
 * @property {number} age_s
 * @property {number} frames_per_second
 * @property {number | null} [lag]
 * @property {number | null} [latency_ms]
 * @property {string[]} labels
 *
 * @typedef {object} Health
 * @property {string} status
 * @property {string} broker
 * @property {string} store
 * @property {number} frames_per_second
 * @property {number | null} lag
 *
 * @typedef {object} About
 * @property {string} [version]
 * @property {string | null} [preset]
 * @property {string} [model]
 * @property {string[]} [labels]
 * @property {number} [retention_days]
 * @property {number | null} [frame_retention_days]
 * @property {boolean} [webhook]
 * @property {boolean} [output]
 * @property {number} [max_video_mb]
 *
 * @typedef {object} Detection
 * @property {string} label
 * @property {number} confidence
 * @property {{ x: number, y: number, width: number, height: number } | null} box
 * @property {[number, number][]} landmarks
 *
 * @typedef {object} Prediction  What `/predict` answers.
 * @property {string | null} action
 * @property {number} confidence
 * @property {string} detail
 * @property {number} width
 * @property {number} height
 * @property {Detection[]} detections
 * @property {{ action: string, confidence: number }[]} all_predictions
 *
 * @typedef {object} Filters  Which events; what is missing or empty means any.
 * @property {string} [stream]
 * @property {string} [label]
 * @property {string} [since]
 * @property {string} [until]
 * @property {string} [min_confidence]
 *
 * @typedef {object} Route  What the address says: `#/view/name?filters`.
 * @property {string} view
 * @property {string} name
 * @property {Filters} filters
 *
 * @typedef {object} View  One view, mounted once.
 * @property {(route: Route) => void} show  called each time it opens, and again when the server comes back
 * @property {() => void} [hide]  called before it closes: stop what runs
 *
 * @callback Mount  Builds a view into its section of the page.
 * @param {HTMLElement} section
 * @returns {View}
 */

export {};
