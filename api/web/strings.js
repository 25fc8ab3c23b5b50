// Every word the page itself says, English and Vietnamese at par, and the way it gets into the DOM.
// A node marked with `data-text`, `data-label` (aria-label and tooltip) or `data-placeholder` follows the language.

export const STRINGS = {
  en: {
    support: "Customer support",
    assistant: "Automated assistant",
    skip: "Skip to the message box",
    language: "Language",
    greeting: "Hello! How can we help you today?",
    contact: "You can also reach us directly: {contact}",
    conversation: "Conversation",
    suggestions: "For example",
    newConversation: "New conversation",
    newStarted: "A new conversation has started.",
    composer: "Write a message",
    messageLabel: "Your message",
    placeholder: "Write your question…",
    keysHint: "Enter sends, Shift and Enter starts a new line.",
    send: "Send",
    lengthNear: "{count} of {limit} characters",
    lengthOver: "{count} of {limit} characters: please shorten your message",
    person: "Talk to a person",
    personMessage: "I want to talk to a person",
    waiting: "Ticket {ticket} is open: a colleague will answer here.",
    withdraw: "I no longer need a person",
    withdrawn: "Ticket {ticket} is withdrawn. The assistant goes on answering.",
    withdrawnBefore: "This ticket was closed already.",
    withdrawFailed: "Ticket {ticket} could not be withdrawn. Please try again.",
    modeQuote: "Answers are quoted from our articles",
    modeModel: "Answers are written by a model from our articles",
    youSaid: "You said",
    weSaid: "The desk answered",
    doingStart: "Reading your message…",
    doingRoute: "Understanding your question…",
    doingRetrieve: "Looking through the articles…",
    doingGenerate: "Putting the answer together…",
    doingCheck: "Checking the answer…",
    doingFinish: "Nearly there…",
    doingAgain: "Looking at this once more…",
    outcomeDontKnow: "Not in our articles",
    outcomeRefuse: "Outside what this desk can answer",
    outcomeNotNow: "Not possible right now",
    outcomeHandoff: "Passed on to a person",
    outcomeAgent: "A colleague answers",
    ticket: "Ticket",
    department: "Department",
    sourcesOne: "1 source",
    sourcesMany: "{count} sources",
    newTab: "(opens in a new tab)",
    wasItHelpful: "Was this helpful?",
    thumbUp: "Yes, this helped",
    thumbDown: "No, this did not help",
    thanks: "Thank you!",
    feedbackFailed: "This could not be saved. Please try again.",
    askUp: "Anything you would like to add? (optional)",
    askDown: "What was missing or wrong? (optional)",
    sendComment: "Send comment",
    noComment: "No, thanks",
    retry: "Try again",
    edit: "Edit message",
    reload: "Reload the page",
    ownTab: "Open in a new tab",
    retrySoon: "You can try again in about {seconds} seconds.",
    troubleOffline: "We couldn’t be reached. Please check your connection and try again.",
    troubleBroken: "The connection broke before the answer was complete. Your message is not lost.",
    troubleBusy: "Your previous message is still being answered. Please try again in a moment.",
    troubleTooMany: "Many messages came in a short time. Please wait a moment.",
    troubleUnavailable: "We are very busy right now. Please try again in a moment.",
    troubleTooLong: "This message is too long for us to read. Please shorten it.",
    troubleUnreadable: "We couldn’t read this message. Please change it and send it again.",
    troubleSession: "Your session has ended. Please reload the page to go on.",
    troubleFramed: "Your browser lets this chat keep nothing on this page. In a tab of its own it works.",
    troubleMissing: "This conversation is no longer available.",
    troubleOther: "Something went wrong on our side. We are sorry; please try again.",
    troubleRestore: "We couldn’t load your earlier messages.",
  },
  vi: {
    support: "Hỗ trợ khách hàng",
    assistant: "Trợ lý tự động",
    skip: "Đến ô nhập tin nhắn",
    language: "Ngôn ngữ",
    greeting: "Xin chào! Chúng tôi có thể giúp gì cho bạn?",
    contact: "Bạn cũng có thể liên hệ trực tiếp: {contact}",
    conversation: "Cuộc trò chuyện",
    suggestions: "Ví dụ",
    newConversation: "Cuộc trò chuyện mới",
    newStarted: "Đã bắt đầu cuộc trò chuyện mới.",
    composer: "Soạn tin nhắn",
    messageLabel: "Tin nhắn của bạn",
    placeholder: "Nhập câu hỏi của bạn…",
    keysHint: "Nhấn Enter để gửi, Shift và Enter để xuống dòng.",
    send: "Gửi",
    lengthNear: "{count} trên {limit} ký tự",
    lengthOver: "{count} trên {limit} ký tự: vui lòng rút ngắn tin nhắn",
    person: "Gặp nhân viên",
    personMessage: "Tôi muốn gặp nhân viên",
    waiting: "Yêu cầu {ticket} đang mở: nhân viên sẽ trả lời tại đây.",
    withdraw: "Tôi không cần gặp nhân viên nữa",
    withdrawn: "Đã hủy yêu cầu {ticket}. Trợ lý tiếp tục trả lời bạn.",
    withdrawnBefore: "Yêu cầu này đã được đóng trước đó.",
    withdrawFailed: "Chưa hủy được yêu cầu {ticket}. Vui lòng thử lại.",
    modeQuote: "Câu trả lời được trích từ các bài viết của chúng tôi",
    modeModel: "Câu trả lời do mô hình AI viết dựa trên các bài viết của chúng tôi",
    youSaid: "Bạn đã viết",
    weSaid: "Trợ lý trả lời",
    doingStart: "Đang đọc tin nhắn của bạn…",
    doingRoute: "Đang tìm hiểu câu hỏi…",
    doingRetrieve: "Đang tìm trong các bài viết…",
    doingGenerate: "Đang soạn câu trả lời…",
    doingCheck: "Đang kiểm tra câu trả lời…",
    doingFinish: "Sắp xong rồi…",
    doingAgain: "Đang xem lại một lần nữa…",
    outcomeDontKnow: "Chưa có trong các bài viết của chúng tôi",
    outcomeRefuse: "Ngoài phạm vi hỗ trợ tại đây",
    outcomeNotNow: "Hiện chưa thể trả lời",
    outcomeHandoff: "Đã chuyển cho nhân viên",
    outcomeAgent: "Nhân viên trả lời",
    ticket: "Mã yêu cầu",
    department: "Bộ phận",
    sourcesOne: "1 nguồn",
    sourcesMany: "{count} nguồn",
    newTab: "(mở trong thẻ mới)",
    wasItHelpful: "Câu trả lời này có hữu ích không?",
    thumbUp: "Có, hữu ích",
    thumbDown: "Không, chưa hữu ích",
    thanks: "Cảm ơn bạn!",
    feedbackFailed: "Chưa lưu được. Vui lòng thử lại.",
    askUp: "Bạn có muốn góp ý thêm không? (không bắt buộc)",
    askDown: "Điều gì còn thiếu hoặc chưa đúng? (không bắt buộc)",
    sendComment: "Gửi góp ý",
    noComment: "Không, cảm ơn",
    retry: "Thử lại",
    edit: "Sửa tin nhắn",
    reload: "Tải lại trang",
    ownTab: "Mở trong thẻ mới",
    retrySoon: "Bạn có thể thử lại sau khoảng {seconds} giây.",
    troubleOffline: "Không kết nối được. Vui lòng kiểm tra mạng rồi thử lại.",
    troubleBroken: "Kết nối bị ngắt trước khi trả lời xong. Tin nhắn của bạn không bị mất.",
    troubleBusy: "Tin nhắn trước của bạn vẫn đang được trả lời. Vui lòng thử lại sau giây lát.",
    troubleTooMany: "Có quá nhiều tin nhắn trong thời gian ngắn. Vui lòng chờ một chút.",
    troubleUnavailable: "Hiện chúng tôi đang rất bận. Vui lòng thử lại sau giây lát.",
    troubleTooLong: "Tin nhắn này quá dài. Vui lòng rút ngắn lại.",
    troubleUnreadable: "Chúng tôi không đọc được tin nhắn này. Vui lòng sửa rồi gửi lại.",
    troubleSession: "Phiên của bạn đã hết. Vui lòng tải lại trang để tiếp tục.",
    troubleFramed: "Trình duyệt không cho phép lưu cuộc trò chuyện tại trang này. Vui lòng mở trong một thẻ riêng.",
    troubleMissing: "Cuộc trò chuyện này không còn nữa.",
    troubleOther: "Đã có lỗi từ phía chúng tôi. Xin lỗi bạn, vui lòng thử lại.",
    troubleRestore: "Không tải được các tin nhắn trước của bạn.",
  },
};

let current = "en";
const valuesOf = new WeakMap();

export const language = () => current;

/** The string in the current language, `{name}` filled from `values`. */
export function say(name, values = {}) {
  return STRINGS[current][name].replace(/\{(\w+)\}/g, (whole, key) => format(values[key] ?? whole));
}

function format(value) {
  return typeof value === "number" ? value.toLocaleString(current) : value;
}

/** Writes a string into a node so that it follows later changes of language. */
export function sayIn(node, name, values = {}) {
  node.dataset.text = name;
  valuesOf.set(node, values);
  node.textContent = say(name, values);
}

/** Puts every marked node below `root` (and `root`) into the current language. */
export function translate(root) {
  const marked = root.querySelectorAll("[data-text], [data-label], [data-placeholder]");
  for (const node of marked) {
    const { text, label, placeholder } = node.dataset;
    if (text) node.textContent = say(text, valuesOf.get(node));
    if (placeholder) node.placeholder = say(placeholder);
    if (label) nameNode(node, say(label));
  }
}

function nameNode(node, name) {
  node.setAttribute("aria-label", name);
  if (node.localName === "button") node.title = name;
}

export function useLanguage(wanted) {
  current = wanted in STRINGS ? wanted : "en";
  document.documentElement.lang = current;
  translate(document);
}

/** The first of the customer's languages that both the page and the desk speak. */
export function bestLanguage(wishes, offered = Object.keys(STRINGS)) {
  const spoken = offered.filter((code) => code in STRINGS);
  const wished = wishes.filter(Boolean).map((tag) => tag.toLowerCase().split("-")[0]);
  return wished.find((code) => spoken.includes(code)) ?? spoken[0] ?? "en";
}

/** A text of the desk that may be one string or one string a language. */
export function inLanguage(text) {
  if (typeof text === "string") return text;
  const found = text?.[current] ?? Object.values(text ?? {})[0];
  return typeof found === "string" ? found : "";
}
