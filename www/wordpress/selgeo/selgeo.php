<?php
/**
 * Plugin Name: Selgeo
 * Description: Puts Selgeo's script on every page: it notes by which partner's link a visitor came, and tells Stripe's Payment Links.
 * Version: 0.1.0
 * Requires at least: 6.3
 * Requires PHP: 7.4
 * License: MIT OR Apache-2.0
 * Text Domain: selgeo
 */

defined('ABSPATH') || exit;

const SELGEO_OPTION = 'selgeo_settings';
const SELGEO_PAGE = 'selgeo';
/** A secret key must never get into a page. */
const SELGEO_KEY = '/^pk_(test|live)_[A-Za-z0-9]{32}$/D';

add_action('wp_enqueue_scripts', 'selgeo_enqueue');
add_filter('script_loader_tag', 'selgeo_tag', 10, 2);
add_action('admin_menu', 'selgeo_menu');
add_action('admin_init', 'selgeo_register');

/** What is set: `key` and `url`, each empty until it is. */
function selgeo_settings(): array
{
    $stored = get_option(SELGEO_OPTION, []);
    return array_merge(['key' => '', 'url' => ''], is_array($stored) ? $stored : []);
}

/** The script on the page, unless whoever looks at it administers the site. */
function selgeo_enqueue(): void
{
    $settings = selgeo_settings();
    if ($settings['key'] === '' || $settings['url'] === '' || current_user_can('manage_options')) {
        return;
    }
    // No version in its address: the Worker says itself when it has changed.
    $src = $settings['url'] . '/v1/selgeo.js';
    wp_enqueue_script('selgeo', $src, [], null, ['strategy' => 'async', 'in_footer' => false]);
}

/** Adds the public key to our own tag, and to no other. */
function selgeo_tag(string $tag, string $handle): string
{
    if ($handle !== 'selgeo') {
        return $tag;
    }
    $attribute = sprintf(' data-merchant="%s"', esc_attr(selgeo_settings()['key']));
    return preg_replace('/<script(?=\s)/', '<script' . $attribute, $tag, 1) ?? $tag;
}

function selgeo_menu(): void
{
    add_options_page('Selgeo', 'Selgeo', 'manage_options', SELGEO_PAGE, 'selgeo_page');
}

function selgeo_register(): void
{
    register_setting(SELGEO_PAGE, SELGEO_OPTION, [
        'type' => 'array',
        'default' => [],
        'sanitize_callback' => 'selgeo_sanitize',
    ]);
    add_settings_section('selgeo', '', '__return_null', SELGEO_PAGE);
    $fields = [
        'key' => [__('Public key', 'selgeo'), 'pk_live_…'],
        'url' => [__('Address of the Worker', 'selgeo'), 'https://'],
    ];
    foreach ($fields as $name => [$label, $placeholder]) {
        add_settings_field('selgeo_' . $name, $label, 'selgeo_field', SELGEO_PAGE, 'selgeo', [
            'label_for' => 'selgeo_' . $name,
            'name' => $name,
            'placeholder' => $placeholder,
        ]);
    }
}

/** What is no key or no address is refused, and what stood there before stays. */
function selgeo_sanitize($given): array
{
    $before = selgeo_settings();
    $given = is_array($given) ? $given : [];
    $key = trim((string) ($given['key'] ?? ''));
    $url = rtrim(trim((string) ($given['url'] ?? '')), '/');
    if ($key !== '' && !preg_match(SELGEO_KEY, $key)) {
        add_settings_error(SELGEO_OPTION, 'key', __('The public key is pk_test_ or pk_live_ and 32 characters.', 'selgeo'));
        $key = $before['key'];
    }
    if ($url !== '' && (wp_parse_url($url, PHP_URL_SCHEME) !== 'https' || esc_url_raw($url) !== $url)) {
        add_settings_error(SELGEO_OPTION, 'url', __('The address begins with https://.', 'selgeo'));
        $url = $before['url'];
    }
    return ['key' => $key, 'url' => $url];
}

function selgeo_field(array $field): void
{
    printf(
        '<input class="regular-text code" id="%1$s" name="%2$s[%3$s]" value="%4$s" placeholder="%5$s" autocomplete="off" spellcheck="false">',
        esc_attr($field['label_for']),
        esc_attr(SELGEO_OPTION),
        esc_attr($field['name']),
        esc_attr(selgeo_settings()[$field['name']]),
        esc_attr($field['placeholder'])
    );
}

function selgeo_page(): void
{
    if (!current_user_can('manage_options')) {
        return;
    }
    echo '<div class="wrap"><h1>Selgeo</h1>';
    echo '<p>' . esc_html__('The script is put on every page, but not for administrators who are signed in.', 'selgeo') . '</p>';
    echo '<form method="post" action="options.php">';
    settings_fields(SELGEO_PAGE);
    do_settings_sections(SELGEO_PAGE);
    submit_button();
    echo '</form></div>';
}
