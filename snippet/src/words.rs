//! Every value that Rust knows by itself: the page's window, and the words to say to it.
//!
//! A Rust string would need memory and a decoder, and an import for each property several times the bytes of its
//! name. So they are written in a list on JavaScript's side, and Rust knows their places. This is the only copy:
//! `cargo xtask build` reads the lines `NAME = "JavaScript expression"` below and writes the list from them.

use crate::page::Js;

macro_rules! words {
    ($($name:ident = $javascript:literal,)*) => {
        #[expect(non_camel_case_types, reason = "each becomes the constant of that name")]
        #[expect(clippy::upper_case_acronyms, reason = "each becomes the constant of that name")]
        enum Place { $($name,)* }
        $(#[doc = concat!("`", $javascript, "`")] pub const $name: Js = Js(Place::$name as i32);)*
    };
}

words! {
    // Values. What is not given to a function is the first.
    UNDEFINED = "undefined",
    NULL = "null",
    TRUE = "true",
    WINDOW = "self",
    TAG = "tag",
    SELGEO = "selgeo",
    // Elements that are to be looked at, and as properties what else is remembered.
    QUEUE = "[]",
    // Functions that wait for a click.
    WAITING = "selgeo.waiting",
    OBSERVED = "{subtree:true,childList:true,attributeFilter:['href','action','src','client-reference-id']}",
    BAKED_API_URL = "API_URL",
    // Classes.
    OBSERVER = "'MutationObserver'",
    OBJECT = "'Object'",
    REG_EXP = "'RegExp'",
    URL = "'URL'",
    URL_SEARCH_PARAMS = "'URLSearchParams'",
    // Properties.
    ACTION = "'action'",
    ADDED_NODES = "'addedNodes'",
    ALLOWED = "'allowed'",
    CHILDREN = "'children'",
    CONSENT = "'consent'",
    DATASET = "'dataset'",
    DECORATE = "'decorate'",
    DOCUMENT = "'document'",
    FIRST = "'0'",
    HASH = "'hash'",
    HOST = "'host'",
    HREF = "'href'",
    JSON = "'JSON'",
    LENGTH = "'length'",
    LOCAL_NAME = "'localName'",
    LOCATION = "'location'",
    NAME = "'name'",
    ON_CLICK_ID = "'onClickId'",
    ORIGIN = "'origin'",
    PERFORMANCE = "'performance'",
    PRERENDERING = "'prerendering'",
    REFLECT = "'Reflect'",
    REFERRER = "'referrer'",
    SEARCH = "'search'",
    SEARCH_PARAMS = "'searchParams'",
    SHADOW_ROOT = "'shadowRoot'",
    SRC = "'src'",
    STORE = "'store'",
    TARGET = "'target'",
    TYPE = "'type'",
    VALUE = "'value'",
    // Methods.
    ADD_EVENT_LISTENER = "'addEventListener'",
    APPEND_CHILD = "'appendChild'",
    CALL = "'call'",
    COMPOSED_PATH = "'composedPath'",
    CONCAT = "'concat'",
    CREATE_ELEMENT = "'createElement'",
    DELETE_PROPERTY = "'deleteProperty'",
    FETCH = "'fetch'",
    GET = "'get'",
    GET_ATTRIBUTE = "'getAttribute'",
    GET_ENTRIES_BY_TYPE = "'getEntriesByType'",
    INCLUDES = "'includes'",
    JSON_METHOD = "'json'",
    OBSERVE = "'observe'",
    POP = "'pop'",
    QUERY_SELECTOR = "'querySelector'",
    REPLACE = "'replace'",
    SET = "'set'",
    SET_ATTRIBUTE = "'setAttribute'",
    SET_TIMEOUT = "'setTimeout'",
    SLICE = "'slice'",
    SPLIT = "'split'",
    STRINGIFY = "'stringify'",
    TEST = "'test'",
    THEN = "'then'",
    // Events.
    AUX_CLICK = "'auxclick'",
    CLICK = "'click'",
    DOM_CONTENT_LOADED = "'DOMContentLoaded'",
    KEY_DOWN = "'keydown'",
    LOAD = "'load'",
    POINTER_DOWN = "'pointerdown'",
    PRERENDERING_CHANGE = "'prerenderingchange'",
    SUBMIT = "'submit'",
    // What the tag says.
    API_URL = "'apiUrl'",
    MERCHANT = "'merchant'",
    PAYMENT_HOSTS = "'paymentHosts'",
    // The request for a click, and its answer.
    BODY = "'body'",
    CLICK_ID = "'click_id'",
    CREDENTIALS = "'credentials'",
    KEEPALIVE = "'keepalive'",
    METHOD = "'method'",
    OMIT = "'omit'",
    POST = "'POST'",
    REF = "'ref'",
    URL_FIELD = "'url'",
    VISITOR_TOKEN = "'visitor_token'",
    // What is kept in the tab's storage (from the first of the three to the last), and on a link that carries our value.
    CID = "'__selgeo_cid'",
    KEPT_REF = "'__selgeo_ref'",
    VTK = "'__selgeo_vtk'",
    OURS = "'__selgeo'",
    // Values.
    // Commas, and all that is no visible ASCII character.
    BETWEEN_HOSTS = "'[^!-+--~]+'",
    A = "'a'",
    BUY_BUTTON = "'stripe-buy-button'",
    CLICKS_PATH = "'/v1/clicks'",
    CLIENT_REFERENCE_ID = "'client_reference_id'",
    EMPTY = "''",
    FIRST_PAIR = "'?client_reference_id='",
    FORM = "'form'",
    HIDDEN = "'hidden'",
    INPUT = "'input'",
    NAVIGATION = "'navigation'",
    NEXT_PAIR = "'&client_reference_id='",
    PARENT = "'..'",
    PRICING_TABLE = "'stripe-pricing-table'",
    PUBLIC_KEY = "'^pk_[0-9A-Za-z_]+$'",
    REFERENCE_ATTRIBUTE = "'client-reference-id'",
    REFERENCE_FIELD = "'[name=client_reference_id]'",
    STRIPE_ORIGIN = "'https://buy.stripe.com'",
    TRAILING_SLASHES = "'/*$'",
    URL_CHARS_MAX = "'2048'",
    TRUSTED_ORIGIN = "'^https:|^http://(localhost|127[.]0[.]0[.]1|[[]::1])(:|$)'",
    WAIT = "'wait'",
    UUID = "'^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'",
}
